import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

/** Open file descriptors of a process. */
export function openDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).length
}

/** Resident memory of a process in bytes, shared pages included. */
export function residentBytes(pid: number): number {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
  if (kilobytes === undefined) throw new Error(`process ${pid} has no resident memory: it has ended`)
  return Number(kilobytes) * 1024
}

/** A process that no later one with the same id is mistaken for. */
export interface ProcessIdentity {
  readonly pid: number
  /** Clock ticks from boot to its start. */
  readonly startedAt: number
  /** Command line, or the title it gave itself. */
  readonly command: string
}

/** All descendants of a process that still run. */
export function descendants(pid: number): ProcessIdentity[] {
  const parents = new Map<number, { parent: number; startedAt: number }>()
  for (const name of readdirSync('/proc')) {
    const fields = /^\d+$/.test(name) ? statFields(Number(name)) : null
    if (fields === null || fields.state === 'Z') continue
    parents.set(Number(name), fields)
  }
  const found: ProcessIdentity[] = []
  const visit = (parent: number): void => {
    for (const [child, its] of parents) {
      if (its.parent !== parent) continue
      const command = readOrNull(`/proc/${child}/cmdline`)?.replaceAll('\0', ' ').trim() ?? ''
      found.push({ pid: child, startedAt: its.startedAt, command })
      visit(child)
    }
  }
  visit(pid)
  return found
}

/** Running processes that have this line in their environment. */
export function processesWith(line: string): ProcessIdentity[] {
  return readdirSync('/proc').flatMap((name) => {
    const pid = /^\d+$/.test(name) ? Number(name) : 0
    if (pid === 0 || readOrNull(`/proc/${pid}/environ`)?.split('\0').includes(line) !== true) return []
    const fields = statFields(pid)
    if (fields === null || fields.state === 'Z') return []
    const command = readOrNull(`/proc/${pid}/cmdline`)?.replaceAll('\0', ' ').trim() ?? ''
    return [{ pid, startedAt: fields.startedAt, command }]
  })
}

/** Processes, other than this one, that work in `directory` or have it as their TMPDIR; those of other users are not seen. */
export function processesOf(directory: string): { readonly pid: number }[] {
  const isOf = (pid: number): boolean => {
    if (pid === process.pid) return false
    const environment = readOrNull(`/proc/${pid}/environ`)?.split('\0') ?? []
    return environment.includes(`TMPDIR=${directory}`) || workingDirectory(pid).startsWith(`${directory}/`)
  }
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter(isOf)
    .map((pid) => ({ pid }))
}

function workingDirectory(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/cwd`)
  } catch {
    return ''
  }
}

/** False once it has ended, also while nobody has collected its exit code. */
export function isRunning(process: ProcessIdentity): boolean {
  const fields = statFields(process.pid)
  return fields !== null && fields.startedAt === process.startedAt && !'ZX'.includes(fields.state)
}

/** From `/proc/PID/stat`: "pid (comm) state ppid …"; comm may hold spaces and parentheses. */
function statFields(pid: number): { state: string; parent: number; startedAt: number } | null {
  const stat = readOrNull(`/proc/${pid}/stat`)
  if (stat === null) return null
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '', parent: Number(fields[1]), startedAt: Number(fields[19]) }
}

function readOrNull(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
