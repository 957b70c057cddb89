import { readFileSync, statfsSync } from 'node:fs'
import { tmpdir } from 'node:os'

const MEMORY = '/dev/shm'
/** `f_type` of a file system in memory. https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/magic.h */
const TMPFS = 0x01021994
/** Several times what a run has at a time, which is mostly the clusters. */
const ENOUGH_BYTES = 6 * 1024 ** 3
const ENOUGH_AVAILABLE_BYTES = 10 * 1024 ** 3

/**
 * Where a run of the tests has its files: in memory where there is plenty of it, unless TMPDIR says otherwise. Hundreds of databases
 * are created in a run, of three hundred files each, which on a disk is most of what they cost.
 */
export function rootOfRun(): string {
  if (process.env.TMPDIR !== undefined) return tmpdir()
  try {
    return hasRoom() && mayExecute() ? MEMORY : tmpdir()
  } catch {
    // No such file system, or another kind of machine.
    return tmpdir()
  }
}

function hasRoom(): boolean {
  const { type, bavail, bsize } = statfsSync(MEMORY)
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024
  return type === TMPFS && bavail * bsize >= ENOUGH_BYTES && available >= ENOUGH_AVAILABLE_BYTES
}

/** Some tests install the program and run it from there. */
function mayExecute(): boolean {
  const mounts = readFileSync('/proc/self/mounts', 'utf8').split('\n')
  const options = mounts.findLast((line) => line.split(' ')[1] === MEMORY)?.split(' ')[3] ?? 'noexec'
  return !options.split(',').includes('noexec')
}
