import { spawn } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { openLogFile, readTextIfExists } from './account-files.ts'
import { LocalClusterError, systemErrorCode } from './local-cluster-error.ts'
import { type PostmasterFile, parsePostmasterFile } from './postmaster-file.ts'
import { isAlive, isServerProcess, serverProcesses } from './process-table.ts'
import { cleanEnvironment } from './run-program.ts'
import { type ServerAccount, spawnIdentity } from './server-account.ts'
import { logSize, logTail, rotateLog } from './server-log.ts'
import type { ShardDirectory } from './shard-directory.ts'

/** A server of this machine that runs. */
export interface RunningServer {
  readonly pid: number
  readonly port: number
}

/** A server may replay a lot of log after a crash before it is ready. */
const startTimeoutMs = 300_000
const fastStopTimeoutMs = 10_000
const immediateStopTimeoutMs = 5_000
const pollMs = 2

/** The living postmaster of a data directory, in whatever state; null when there is none. Stale files are not believed. */
export async function findPostmaster(shard: ShardDirectory, account: ServerAccount): Promise<PostmasterFile | null> {
  const text = await readTextIfExists(join(shard.data, 'postmaster.pid'))
  const file = text === null ? null : parsePostmasterFile(text)
  if (file === null || !(await isServerProcess(file.pid, shard.data, account))) return null
  return file
}

/**
 * Waits until a living postmaster takes queries (on a replica: is consistent).
 *
 * @throws LocalClusterError with the end of its log when it ends first or takes more than five minutes
 */
export async function waitUntilReady(
  shard: ShardDirectory,
  pid: number,
  options: { logOffset: number; onProgress: (message: string) => void; signal?: AbortSignal | undefined },
): Promise<RunningServer> {
  const started = performance.now()
  let nextNotice = started + 5000
  for (;;) {
    const text = await readTextIfExists(join(shard.data, 'postmaster.pid'))
    const file = text === null ? null : parsePostmasterFile(text)
    if (file?.pid === pid && file.status === 'ready' && file.port > 0) return { pid, port: file.port }
    if (!isAlive(pid)) {
      throw new LocalClusterError(`${shard.name} did not start. ${await logTail(shard.logFile, options.logOffset)}`)
    }
    const now = performance.now()
    if (now - started > startTimeoutMs) {
      throw new LocalClusterError(
        `${shard.name} (process ${pid}) was not ready after ${startTimeoutMs / 1000} s. ` +
          (await logTail(shard.logFile, options.logOffset)),
      )
    }
    if (now > nextNotice) {
      nextNotice = now + 5000
      options.onProgress(`${shard.name} is still starting; after a crash it replays its log first (${shard.logFile}).`)
    }
    await delay(pollMs, undefined, { signal: options.signal })
  }
}

/**
 * Starts a server that no living postmaster serves, and waits until it takes queries. It is detached: it goes on when
 * this process dies, and `findPostmaster` finds it again.
 *
 * @param program path of `postgres`
 * @throws LocalClusterError with the end of its log when it does not start; nothing is left running then
 */
export async function startPostmaster(
  shard: ShardDirectory,
  options: {
    program: string
    port: number
    account: ServerAccount
    onProgress: (message: string) => void
    signal?: AbortSignal | undefined
  },
): Promise<RunningServer> {
  options.signal?.throwIfAborted()
  await clearRemains(shard, options.account)
  await rotateLog(shard.logFile)
  const log = await openLogFile(shard.logFile, options.account)
  let pid: number
  const logOffset = await logSize(shard.logFile)
  try {
    pid = await spawnDetached(options.program, ['-D', shard.data, '-p', String(options.port)], log.fd, options.account)
  } finally {
    await log.close()
  }
  try {
    return await waitUntilReady(shard, pid, { ...options, logOffset })
  } catch (error) {
    // By pid: a server that is given up early may not be recognisable by its working directory yet.
    sendSignal(pid, 'SIGQUIT')
    await waitForExit(pid, immediateStopTimeoutMs)
    await killServerProcesses(shard, options.account)
    throw error
  }
}

function spawnDetached(program: string, args: string[], logFd: number, account: ServerAccount): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, args, {
      cwd: '/',
      env: { ...cleanEnvironment },
      detached: true,
      stdio: ['ignore', logFd, logFd],
      ...spawnIdentity(account),
    })
    child.once('error', (error) => reject(new LocalClusterError(`${program} cannot be run.`, { cause: error })))
    child.once('spawn', () => {
      child.unref()
      resolve(child.pid!)
    })
  })
}

/**
 * Removes what a killed server left behind and a new one would stumble over: backends that still work (they may even
 * commit), and lock files, which PostgreSQL believes when their pid is a zombie or was given to another process.
 */
async function clearRemains(shard: ShardDirectory, account: ServerAccount): Promise<void> {
  await killServerProcesses(shard, account)
  await rm(join(shard.data, 'postmaster.pid'), { force: true })
  if (shard.sockets === null) return
  for (const name of await entriesOf(shard.sockets)) {
    if (name.startsWith('.s.PGSQL.')) await rm(join(shard.sockets, name), { force: true })
  }
}

async function entriesOf(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return []
    throw error
  }
}

/** Kills everything that runs in a data directory, and waits until it is gone. */
export async function killServerProcesses(shard: ShardDirectory, account: ServerAccount): Promise<void> {
  const pids = await serverProcesses(shard.data, account)
  for (const pid of pids) sendSignal(pid, 'SIGKILL')
  for (const pid of pids) {
    if (!(await waitForExit(pid, immediateStopTimeoutMs))) {
      throw new LocalClusterError(
        `Process ${pid}, left over from an earlier ${shard.name}, does not end even when killed: the disk may hang.`,
      )
    }
  }
}

/**
 * Stops the server of a data directory, if one runs: fast shutdown (clients are cut off, a checkpoint is written),
 * immediate shutdown when that takes longer than `fastMs`, and in the end SIGKILL.
 */
export async function stopPostmaster(
  shard: ShardDirectory,
  account: ServerAccount,
  fastMs: number = fastStopTimeoutMs,
): Promise<void> {
  const server = await findPostmaster(shard, account)
  if (server !== null) {
    sendSignal(server.pid, 'SIGINT')
    if (await waitForExit(server.pid, fastMs)) return
    sendSignal(server.pid, 'SIGQUIT')
    if (await waitForExit(server.pid, immediateStopTimeoutMs)) return
  }
  await killServerProcesses(shard, account)
}

function sendSignal(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch (error) {
    if (systemErrorCode(error) !== 'ESRCH') throw error
  }
}

async function waitForExit(pid: number, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (isAlive(pid)) {
    if (performance.now() > deadline) return false
    await delay(pollMs)
  }
  return true
}
