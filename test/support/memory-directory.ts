import { readFileSync, statfsSync } from 'node:fs'

const MEMORY = '/dev/shm'
/** `f_type` of a file system in memory. https://github.com/torvalds/linux/blob/v6.12/include/uapi/linux/magic.h */
const TMPFS = 0x01021994
/** Several times what the clusters of a run have at a time. */
const ENOUGH_BYTES = 6 * 1024 ** 3
const ENOUGH_AVAILABLE_BYTES = 10 * 1024 ** 3

/** Name of the environment variable with the directory in memory that a run of the tests has for clusters, if it has one. */
export const MEMORY_VARIABLE = 'SWITCHYARD_TEST_MEMORY'

/**
 * A file system in memory, with plenty of it; null: there is none. In a run of the tests, hundreds of databases are created, of three
 * hundred files each, which on a disk is most of what they cost.
 */
export function memoryRoot(): string | null {
  try {
    return hasRoom() ? MEMORY : null
  } catch {
    // Another kind of machine.
    return null
  }
}

function hasRoom(): boolean {
  const { type, bavail, bsize } = statfsSync(MEMORY)
  const available = Number(/^MemAvailable:\s+(\d+) kB$/m.exec(readFileSync('/proc/meminfo', 'utf8'))?.[1] ?? 0) * 1024
  return type === TMPFS && bavail * bsize >= ENOUGH_BYTES && available >= ENOUGH_AVAILABLE_BYTES
}
