import { randomBytes } from 'node:crypto'
import { link, rename, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readTextIfExists } from './account-files.ts'
import { LocalClusterError, systemErrorCode } from './local-cluster-error.ts'
import { processStat } from './process-table.ts'

/** Held from `acquireDirectoryLock` until `release`; the death of the process releases it as well. */
export interface DirectoryLock {
  release(): Promise<void>
}

interface Holder {
  readonly pid: number
  readonly startTicks: string
}

function parseHolder(text: string): Holder | null {
  const [pid, startTicks] = text.trim().split(' ')
  return pid === undefined || startTicks === undefined ? null : { pid: Number(pid), startTicks }
}

function isHeld(holder: Holder): boolean {
  const stat = processStat(holder.pid)
  return stat !== null && stat.state !== 'Z' && stat.startTicks === holder.startTicks
}

/**
 * Makes this process the only one that manages the cluster in `directory`. The lock is the file `lock` with the pid
 * and start time of its holder, so that neither a crash nor a pid used again leaves the directory locked.
 *
 * @throws LocalClusterError when another living process (or this one) holds it
 */
export async function acquireDirectoryLock(directory: string): Promise<DirectoryLock> {
  const path = join(directory, 'lock')
  const own = `${process.pid} ${processStat(process.pid)?.startTicks ?? '0'}\n`
  const candidate = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`
  await writeFile(candidate, own, { mode: 0o644, flag: 'wx' })
  try {
    // link(2) creates the name with its content or fails: nobody ever reads a half-written lock.
    while (!(await linkIfFree(candidate, path))) await removeStaleLock(directory, path)
  } finally {
    await rm(candidate, { force: true })
  }
  return {
    release: async () => {
      if ((await readTextIfExists(path)) === own) await rm(path, { force: true })
    },
  }
}

async function linkIfFree(candidate: string, path: string): Promise<boolean> {
  try {
    await link(candidate, path)
    return true
  } catch (error) {
    if (systemErrorCode(error) === 'EEXIST') return false
    throw error
  }
}

async function removeStaleLock(directory: string, path: string): Promise<void> {
  const text = await readTextIfExists(path)
  if (text === null) return
  const holder = parseHolder(text)
  if (holder !== null && isHeld(holder)) {
    const who = holder.pid === process.pid ? 'this process itself' : `process ${holder.pid}`
    throw new LocalClusterError(
      `The cluster in ${directory} is managed by ${who} already. Stop that one first, or choose another --data directory.`,
    )
  }
  // Two starts may find the same stale lock; whoever moves it away must not have moved the other's new one.
  const aside = `${path}.stale.${process.pid}`
  try {
    await rename(path, aside)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return
    throw error
  }
  if ((await readTextIfExists(aside)) !== text) await linkIfFree(aside, path)
  await rm(aside, { force: true })
}
