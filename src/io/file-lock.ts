import { closeSync, openSync } from 'node:fs'
import koffi from 'koffi'
import { ERRNO, errno, SystemError } from './native.ts'

const LOCK_EX = 2
const LOCK_NB = 4

const flock = koffi.load(null).func('int flock(int, int)') as (fd: number, operation: number) => number

/** A lock on a file, held until `release` or the end of this process, however that comes. */
export interface FileLock {
  /** To read and write the locked file. */
  readonly fd: number
  release(): void
}

/** Creates and locks the file (flock(2), mode 0600); null when another process holds it. */
export function lockFile(path: string): FileLock | null {
  const fd = openSync(path, 'a+', 0o600)
  if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
    const code = errno()
    closeSync(fd)
    if (code === ERRNO.EAGAIN) return null
    throw new SystemError('flock', code)
  }
  let held = true
  return {
    fd,
    release() {
      if (held) closeSync(fd)
      held = false
    },
  }
}
