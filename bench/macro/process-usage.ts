import { readdirSync, readFileSync } from 'node:fs'

/** In which the kernel reports CPU time to programs (USER_HZ): 100 on x64 and arm64, whatever its own timer runs at. */
const ticksPerSecond = 100

/** The fields of `/proc/PID/stat` that are used here. https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html */
export interface ProcessStat {
  readonly state: string
  readonly parent: number
  /** User and system time of all threads, those that ended included, in clock ticks. */
  readonly cpuTicks: number
}

/** Parses `/proc/PID/stat`. The name in parentheses may itself contain spaces and parentheses, so fields count from the last one. */
export function parseProcessStat(text: string): ProcessStat {
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  return { state: fields[0] ?? '?', parent: Number(fields[1]), cpuTicks: Number(fields[11]) + Number(fields[12]) }
}

/** The process's stat, or null when there is no such process any more. */
export function readProcessStat(pid: number): ProcessStat | null {
  const text = readProcessFile(pid, 'stat')
  return text === null ? null : parseProcessStat(text)
}

/**
 * `root`, its descendants, and every process whose environment holds `marker` (`NAME=value`), which also finds
 * those that detached themselves and were given to another parent. Zombies are left out.
 */
export function findProcesses(root: number, marker: string): number[] {
  const parents = new Map<number, number>()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    if (!Number.isInteger(pid)) continue
    const stat = readProcessStat(pid)
    if (stat !== null && stat.state !== 'Z') parents.set(pid, stat.parent)
  }
  const found = new Set<number>()
  for (const pid of parents.keys()) {
    if (descendsFrom(pid, root, parents) || hasEnvironment(pid, marker)) found.add(pid)
  }
  return [...found].sort((a, b) => a - b)
}

function descendsFrom(pid: number, root: number, parents: ReadonlyMap<number, number>): boolean {
  for (let at: number | undefined = pid; at !== undefined && at > 1; at = parents.get(at)) {
    if (at === root) return true
  }
  return false
}

function hasEnvironment(pid: number, marker: string): boolean {
  return readProcessFile(pid, 'environ')?.split('\0').includes(marker) ?? false
}

/** What the process calls itself: the title it has set, or else the path of its program. Empty when it is gone. */
export function processTitle(pid: number): string {
  return (readProcessFile(pid, 'cmdline') ?? '').split('\0')[0] ?? ''
}

/**
 * CPU time of a set of processes, in microseconds, from the first `read` on. Never goes back: what a process had used stays
 * counted after it ended. Resolution is one clock tick (10 ms) per process.
 */
export class CpuMeter {
  readonly #ticks = new Map<number, { first: number; last: number }>()

  read(pids: readonly number[]): number {
    for (const pid of pids) {
      const ticks = readProcessStat(pid)?.cpuTicks
      if (ticks === undefined) continue
      const seen = this.#ticks.get(pid)
      if (seen === undefined) this.#ticks.set(pid, { first: ticks, last: ticks })
      else seen.last = ticks
    }
    let total = 0
    for (const { first, last } of this.#ticks.values()) total += last - first
    return (total * 1e6) / ticksPerSecond
  }
}

export interface MemoryUse {
  /**
   * Proportional set size: private pages, plus shared ones divided by how many processes map them; sums count each page once.
   * Pages of files are left out: nobody writes to them, and a program's share changes with whoever else runs it.
   */
  readonly pssBytes: number
  readonly fds: number
}

/** Memory and open descriptors of one process; zeros when it is gone. */
export function readMemoryUse(pid: number): MemoryUse {
  const rollup = readProcessFile(pid, 'smaps_rollup') ?? ''
  const kilobytes = (kind: string): number =>
    Number(new RegExp(`^Pss_${kind}:\\s+(\\d+) kB$`, 'm').exec(rollup)?.[1] ?? 0)
  return { pssBytes: (kilobytes('Anon') + kilobytes('Shmem')) * 1024, fds: countFds(pid) }
}

/** The sum over several processes. */
export function sumMemoryUse(pids: readonly number[]): MemoryUse {
  const uses = pids.map(readMemoryUse)
  return {
    pssBytes: uses.reduce((sum, use) => sum + use.pssBytes, 0),
    fds: uses.reduce((sum, use) => sum + use.fds, 0),
  }
}

function countFds(pid: number): number {
  try {
    return readdirSync(`/proc/${pid}/fd`).length
  } catch (error) {
    if (isGone(error)) return 0
    throw error
  }
}

function readProcessFile(pid: number, name: string): string | null {
  try {
    return readFileSync(`/proc/${pid}/${name}`, 'utf8')
  } catch (error) {
    // Another user's process may hide its environment; it is none of ours then.
    if (isGone(error) || (name === 'environ' && isDenied(error))) return null
    throw error
  }
}

function isGone(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')
}

function isDenied(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EACCES' || error.code === 'EPERM')
}
