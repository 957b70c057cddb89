import { createHash } from 'node:crypto'
import { rm } from 'node:fs/promises'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { type FileOwner, readTextIfExists, writePrivateFile } from './account-files.ts'
import { LocalClusterError, systemErrorCode } from './local-cluster-error.ts'
import { processStat } from './process-table.ts'

/** Held from `acquireDirectoryLock` until `release`; the death of the process releases it as well. */
export interface DirectoryLock {
  release(): Promise<void>
}

/** What a lock is for. */
export interface LockSubject {
  /** Its name. */
  readonly file: string
  /** For the sentence "… is managed by process 7 already." */
  readonly what: string
  /** What to do then. */
  readonly hint: string
}

interface Holder {
  readonly pid: number
  readonly startTicks: string
}

const guardTimeoutMs = 2000
const pollMs = 5

/**
 * Makes this process the only one that manages `subject`, the cluster in `directory`. The lock is a file there with the pid
 * and start time of its holder, so that neither a crash nor a pid used again leaves the directory locked.
 *
 * @param directory a real path, the same for all who want the lock
 * @param owner of the file
 * @throws LocalClusterError when another living process (or this one) holds it
 */
export async function acquireDirectoryLock(
  directory: string,
  owner: FileOwner,
  subject: LockSubject = {
    file: 'lock',
    what: `The cluster in ${directory}`,
    hint: 'Stop that one first, or choose another --data directory.',
  },
): Promise<DirectoryLock> {
  const path = join(directory, subject.file)
  const own = `${process.pid} ${processStat(process.pid)?.startTicks ?? '0'}\n`
  await guarded(directory, async () => {
    refuseIfHeld(subject, parseHolder((await readTextIfExists(path)) ?? ''))
    await writePrivateFile(path, own, owner)
  })
  return {
    release: () =>
      guarded(directory, async () => {
        if ((await readTextIfExists(path)) === own) await rm(path)
      }),
  }
}

function parseHolder(text: string): Holder | null {
  const [pid, startTicks] = text.trim().split(' ')
  return pid === undefined || startTicks === undefined ? null : { pid: Number(pid), startTicks }
}

function refuseIfHeld({ what, hint }: LockSubject, holder: Holder | null): void {
  if (holder === null) return
  const stat = processStat(holder.pid)
  if (stat === null || stat.state === 'Z' || stat.startTicks !== holder.startTicks) return
  const who = holder.pid === process.pid ? 'this process itself' : `process ${holder.pid}`
  throw new LocalClusterError(`${what} is managed by ${who} already. ${hint}`)
}

/**
 * Runs `work` while nobody else looks at or changes the same lock file. Files alone cannot take a stale lock over
 * without a race; the name of an abstract socket can, since the kernel gives it to one process at a time and takes it
 * back when that dies: https://man7.org/linux/man-pages/man7/unix.7.html
 */
async function guarded(directory: string, work: () => Promise<void>): Promise<void> {
  const name = `\0switchyard-lock-${createHash('sha256').update(directory).digest('hex').slice(0, 32)}`
  const deadline = performance.now() + guardTimeoutMs
  let guard = await bind(name)
  while (guard === null) {
    if (performance.now() > deadline) {
      throw new LocalClusterError(`Another process is starting or stopping the cluster in ${directory}: try again.`)
    }
    await delay(pollMs)
    guard = await bind(name)
  }
  try {
    await work()
  } finally {
    guard.close()
  }
}

/** Null when somebody else has the name. */
function bind(name: string): Promise<Server | null> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error) => {
      if (systemErrorCode(error) === 'EADDRINUSE') resolve(null)
      else reject(error)
    })
    server.listen({ path: name, exclusive: true }, () => resolve(server))
  })
}
