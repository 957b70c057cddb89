import { constants } from 'node:fs'
import { chmod, chown, mkdir, open, rename, rm } from 'node:fs/promises'
import { systemErrorCode } from './local-cluster-error.ts'

/** Who a file is to belong to. Only root may give files away: `switched` says that this is necessary. */
export interface FileOwner {
  readonly uid: number
  readonly gid: number
  readonly switched: boolean
}

/** A directory that only `owner` may enter. One that exists already is taken over: owner and mode are set again. */
export async function makeAccountDirectory(path: string, owner: FileOwner): Promise<void> {
  await mkdir(path, { recursive: true, mode: 0o700 })
  if (owner.switched) await chown(path, owner.uid, owner.gid)
  await chmod(path, 0o700)
}

/**
 * Writes a whole file that only its owner may read, replacing an older one at once (temporary file, then rename), so
 * that a crash leaves the old text or the new one. Ownership is given away before there is anything to read in it.
 */
export async function writePrivateFile(path: string, text: string, owner: FileOwner): Promise<void> {
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    if (owner.switched) await file.chown(owner.uid, owner.gid)
    await file.writeFile(text)
  } finally {
    await file.close()
  }
  await rename(temporary, path)
}

/** Opens a log file for appending so that `owner` owns it, never through a symbolic link. The caller closes it. */
export async function openLogFile(path: string, owner: FileOwner) {
  const file = await open(
    path,
    constants.O_WRONLY | constants.O_APPEND | constants.O_CREAT | constants.O_NOFOLLOW,
    0o600,
  )
  try {
    if (owner.switched) await file.chown(owner.uid, owner.gid)
    return file
  } catch (error) {
    await file.close()
    throw error
  }
}

/** The text of a file, or null when there is none. */
export async function readTextIfExists(path: string): Promise<string | null> {
  try {
    const file = await open(path, 'r')
    try {
      return await file.readFile('utf8')
    } finally {
      await file.close()
    }
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
}

/** Removes a directory tree, also while a dying process still adds to it. */
export async function removeTree(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 20, retryDelay: 25 })
}
