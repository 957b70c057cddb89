import { closeSync, existsSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { setPriority } from 'node:os'
import { setTimeSlice, timeSliceOf } from './time-slice.ts'

/**
 * How a process of this machine can be held back on the processors.
 *
 * - autogroup: the kernel shares them out among sessions (setsid), of which PostgreSQL makes one for each backend, so that the
 *   niceness of a session counts and that of a process does not. sched(7)
 * - process: it shares them out among processes. What was taken can be given back by those only who have CAP_SYS_NICE.
 * - slice: its share cannot be made smaller, but others can be let in before it.
 * - none: it cannot, for this reason.
 *
 * `isRationed`: ten changes a second is all that the kernel allows.
 */
export type CpuMeans =
  | { readonly kind: 'autogroup' | 'process' | 'slice'; readonly isRationed: boolean }
  | { readonly kind: 'none'; readonly reason: string }

/** How it went. `later`: the kernel lets who is not root change ten a second only. `gone`: there is no such process. */
export type NiceOutcome = 'done' | 'later' | 'gone' | 'refused'

/**
 * Of who is held back, in microseconds: longer than anybody's usual one (0.7 to 2.8 ms), which is enough to be put off by whoever wakes
 * up. The kernel settles up within two slices: with much longer ones, who woke up waits for that.
 */
export const HELD_SLICE_US = 4_000

const AUTOGROUP_SWITCH = '/proc/sys/kernel/sched_autogroup_enabled'
const CGROUPS = '/sys/fs/cgroup'
const CAP_SYS_ADMIN = 21n
const CAP_SYS_NICE = 23n

/** What works for this process, which has to be of this machine. */
export function cpuMeans(pid: number): CpuMeans {
  const isInGroup = hasCpuGroup(textOf(`/proc/${pid}/cgroup`) ?? '')
  if (textOf(AUTOGROUP_SWITCH)?.trim() === '1' && !isInGroup)
    return { kind: 'autogroup', isRationed: !hasCapability(CAP_SYS_ADMIN) }
  if (hasCapability(CAP_SYS_NICE)) return { kind: 'process', isRationed: false }
  if (timeSliceOf(pid) !== null) return { kind: 'slice', isRationed: false }
  const why = isInGroup
    ? 'the server is in a cgroup of its own for the CPU'
    : 'the kernel has no autogroups, or not enabled'
  return { kind: 'none', reason: `${why}, and this process has no CAP_SYS_NICE` }
}

function hasCapability(which: bigint): boolean {
  const capabilities = /^CapEff:\s*([0-9a-f]+)$/m.exec(textOf('/proc/self/status') ?? '')?.[1] ?? '0'
  return ((BigInt(`0x${capabilities}`) >> which) & 1n) === 1n
}

/** Autogroups are among those processes only that no cgroup shares the CPU out to. `text`: of `/proc/PID/cgroup`. */
function hasCpuGroup(text: string): boolean {
  for (const line of text.split('\n')) {
    const [, controllers = '', path = ''] = line.split(':')
    if (controllers.split(',').includes('cpu')) return path !== '/'
  }
  // Version 2: the nearest one above it that has the controller counts.
  let path = /^0::(.*)$/m.exec(text)?.[1] ?? '/'
  for (;;) {
    if (existsSync(`${CGROUPS}${path}/cpu.weight`)) return true
    if (path === '/' || path === '') return false
    path = path.slice(0, path.lastIndexOf('/'))
  }
}

/** Whether the process works in that directory, as a backend does in its server's data. False also if that cannot be seen. */
export function worksIn(pid: number, directory: string): boolean {
  try {
    const [its, wanted] = [statSync(`/proc/${pid}/cwd`), statSync(directory)]
    return its.dev === wanted.dev && its.ino === wanted.ino
  } catch {
    return false
  }
}

/**
 * The niceness of a backend from now on, 0 to 19. One that is not 0 has long time slices as well: others are let in as soon as they wake up,
 * instead of when its slice is over.
 */
export function holdBack(means: CpuMeans, pid: number, nice: number): NiceOutcome {
  if (means.kind === 'slice') return setSlice(pid, nice) ? 'done' : existsSync(`/proc/${pid}`) ? 'refused' : 'gone'
  if (nice === 0) setSlice(pid, 0)
  const outcome = setCpuNice(means, pid, nice)
  // Not before: what was not lowered is not given back.
  if (outcome === 'done' && nice > 0) setSlice(pid, nice)
  return outcome
}

/** The niceness of the process from now on, 0 to 19. */
export function setCpuNice({ kind }: CpuMeans, pid: number, nice: number): NiceOutcome {
  if (kind === 'none' || kind === 'slice') return 'refused'
  try {
    if (kind === 'process') setPriority(pid, nice)
    else writeAutogroup(pid, nice)
    return 'done'
  } catch (error) {
    return outcomeOf(error)
  }
}

function setSlice(pid: number, nice: number): boolean {
  return setTimeSlice(pid, nice > 0 ? HELD_SLICE_US : 0)
}

function writeAutogroup(pid: number, nice: number): void {
  const fd = openSync(`/proc/${pid}/autogroup`, 'w')
  try {
    writeSync(fd, String(nice))
  } finally {
    closeSync(fd)
  }
}

function outcomeOf(error: unknown): NiceOutcome {
  const { code, info } = error as { readonly code?: string; readonly info?: { readonly code?: string } }
  const name = info?.code ?? code
  if (name === 'EAGAIN') return 'later'
  return name === 'ENOENT' || name === 'ESRCH' ? 'gone' : 'refused'
}

function textOf(path: string): string | null {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return null
  }
}
