import { chmodSync, existsSync, ftruncateSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../errors.ts'
import { type FileLock, lockFile } from '../io/file-lock.ts'
import { planesLock } from '../memory/run-directory.ts'

/** Room in the 107 bytes of a Unix socket's path for the longest name in the run directory. */
const LONGEST_RUN_PATH = 90

/** One data directory belongs to one router at a time. */
export interface DataDirectory {
  readonly path: string
  /** Planes of a router whose keeper has died are alive, and look for another one. */
  readonly hasOrphans: () => boolean
  /** Where this router's own sockets are; nobody else can enter it. */
  readonly runDirectory: string
  /** Removes the run directory and lets others have the data directory. */
  release(): void
}

/**
 * Creates the directory (0700) when it is missing and makes it ours until `release` or the end of this process.
 * Throws `ConfigError` when it cannot be used or another router uses it. `path` is absolute.
 */
export function claimDataDirectory(path: string, pid: number): DataDirectory {
  const file = join(path, 'switchyard.lock')
  const lock = lockOrExplain(path, file)
  const [, before = ''] = readFileSync(file, 'utf8').split('\n')
  const isOrphaned = before !== '' && areAlive(before)
  const runDirectory = isOrphaned ? before : createRunDirectory(path)
  // Who it is, and where one can speak to it.
  ftruncateSync(lock.fd)
  writeSync(lock.fd, `${pid}\n${runDirectory}\n`)
  return {
    path,
    runDirectory,
    hasOrphans: () => isOrphaned && areAlive(runDirectory),
    release() {
      rmSync(runDirectory, { recursive: true, force: true })
      lock.release()
    },
  }
}

function areAlive(runDirectory: string): boolean {
  const file = planesLock(runDirectory)
  if (!existsSync(file)) return false
  const lock = lockFile(file)
  lock?.release()
  return lock === null
}

function lockOrExplain(path: string, file: string): FileLock {
  let lock: FileLock | null
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    lock = lockFile(file)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(
      `The data directory ${path} cannot be used (${reason}); choose one that this user may write, with --data or ` +
        'data.directory.',
    )
  }
  if (lock === null) {
    throw new ConfigError(
      `The data directory ${path} is in use by another Switchyard (process ${readPid(file)}); stop that one, or choose ` +
        'another directory with --data or data.directory.',
    )
  }
  return lock
}

function readPid(file: string): string {
  return readFileSync(file, 'utf8').split('\n')[0] || 'unknown'
}

/** Fresh and empty: what an earlier router left behind is gone. */
function createRunDirectory(dataDirectory: string): string {
  const inside = join(dataDirectory, 'run')
  rmSync(inside, { recursive: true, force: true })
  if (Buffer.byteLength(inside) >= LONGEST_RUN_PATH) return mkdtempSync(join(tmpdir(), 'switchyard-'))
  mkdirSync(inside, { mode: 0o700 })
  // The umask may have taken bits from the owner.
  chmodSync(inside, 0o700)
  return inside
}
