import { closeSync, openSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import { localConfig } from '../control/local-settings.ts'
import { raiseOpenFileLimit } from '../io/process-limits.ts'
import { planCapacity } from '../keeper/capacity.ts'
import { openClientListeners } from '../keeper/client-listeners.ts'
import { claimDataDirectory, type DataDirectory } from '../keeper/data-directory.ts'
import { Keeper } from '../keeper/keeper.ts'
import { OperatorSocket } from '../keeper/operator-socket.ts'
import type { Program } from '../keeper/program.ts'
import { createLogger } from '../log.ts'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import { KEEPER_SOCKET } from '../memory/upgrade-protocol.ts'
import { monotonicMs, wallClockOffsetMs } from '../util/monotonic-clock.ts'
import { requireFreeHttpPort } from './http-port.ts'

/**
 * A plane allocates next to nothing per query. After a rush of logins V8 would keep a young generation of tens of megabytes,
 * several times what its clients need.
 */
const PLANE_YOUNG_GENERATION = '--max-semi-space-size=1'

/** What `start` needs of the process it runs in. */
export interface StartContext {
  readonly environment: Environment
  /** Program and first arguments that run this program again. */
  readonly self: readonly [string, ...string[]]
  readonly pid: number
  readonly architecture: string
  readonly onSignal: (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', handler: () => void) => void
  readonly setTitle: (title: string) => void
  /** File descriptor of the log. */
  readonly logDestination: number
}

export interface StartFlags {
  readonly config: string | null
  readonly data: string | null
  readonly keepShards: boolean
}

/**
 * `switchyard start`: this process becomes the keeper. Returns the exit code once everything has ended. Throws
 * `ConfigError` when the configuration, a port or the data directory cannot be used.
 */
export async function start(flags: StartFlags, context: StartContext): Promise<number> {
  const environment = withDataFlag(context.environment, flags.data)
  const config = flags.config === null ? localConfig(environment) : loadConfig(flags.config, environment)
  const log = createLogger({ ...config.log, process: 'keeper', pid: context.pid, destination: context.logDestination })
  const openFiles = raiseOpenFileLimit()
  const capacity = planCapacity({
    maxClients: config.limits.maxClients,
    bufferMemoryBytes: config.limits.bufferMemoryBytes,
    serverConnections: config.shards.reduce((sum, { maxConnections }) => sum + maxConnections, 0),
    openFiles,
  })
  if (capacity.warning !== null) log.warn(capacity.warning)
  await requireFreeHttpPort(config.http)
  const directory = claimDataDirectory(resolve(config.data.directory), context.pid)
  try {
    const listeners = await openClientListeners({ ...config.listen, pid: context.pid })
    try {
      context.setTitle('switchyard: keeper')
      const { geometry } = capacity
      const places = listeners.map(({ place }) => place)
      const keeper = new Keeper({ ...keeperOptions(flags, context, directory, places), geometry, listeners, log })
      listenToSignals(keeper, context)
      const operators = new OperatorSocket((program, listener) => keeper.upgrade(program, listener))
      await operators.listen(join(directory.runDirectory, KEEPER_SOCKET))
      try {
        keeper.start()
        return await keeper.finished
      } finally {
        operators.close()
      }
    } finally {
      for (const listener of listeners) listener.close()
    }
  } finally {
    directory.release()
  }
}

function keeperOptions(
  { config, keepShards }: StartFlags,
  { self, environment, pid, architecture }: StartContext,
  directory: DataDirectory,
  listening: readonly ListeningPlace[],
) {
  const startedAt = monotonicMs()
  const { path: dataDirectory, runDirectory } = directory
  // Flags for node in the planes: profilers, mostly.
  const moreFlags = (environment.SWITCHYARD_NODE_OPTIONS ?? '').split(' ').filter((flag) => flag !== '')
  const planeFlags = [PLANE_YOUNG_GENERATION, ...moreFlags]
  const keeper = String(pid)
  return {
    pid,
    architecture,
    environment: { ...environment, SWITCHYARD_DATA: dataDirectory },
    now: monotonicMs,
    wallClockOffset: wallClockOffsetMs(),
    program: self,
    controlCommand: (program: Program) => [...program, 'control'] as const,
    checkCommand: (program: Program) => [...program, 'upgrade-check', ...(config === null ? [] : [config])] as const,
    planeCommand: ([node, ...script]: Program, index: number, generation: number) =>
      [node, ...planeFlags, ...script, 'plane', String(index), String(generation), runDirectory, keeper] as const,
    startOrder: (first: boolean, upgradeStatus: string) =>
      ({
        op: 'start',
        configFile: config,
        dataDirectory,
        runDirectory,
        keepShards,
        listening,
        startedAt,
        first,
        upgradeStatus,
      }) as const,
  }
}

/** npm passes Ctrl-C on to a program that has got it from the terminal already: both are one. */
const SAME_SIGNAL_MS = 500

/** The first SIGTERM or Ctrl-C drains, the second stops at once, the third does not even stop the shards. */
function listenToSignals(keeper: Keeper, { onSignal }: StartContext): void {
  let asked = 0
  let askedAt = Number.NEGATIVE_INFINITY
  const stop = (signal: string): void => {
    if (monotonicMs() - askedAt < SAME_SIGNAL_MS) return
    askedAt = monotonicMs()
    asked++
    if (asked === 1) keeper.stop('drain', signal)
    else if (asked === 2) keeper.stop('immediate', `${signal} again`)
    else keeper.kill(`${signal} once more`)
  }
  const hadTerminal = hasTerminal()
  onSignal('SIGTERM', () => stop('SIGTERM'))
  onSignal('SIGINT', () => stop('SIGINT'))
  // What comes of it is in the log.
  onSignal('SIGUSR2', () => void keeper.upgrade(null))
  onSignal('SIGHUP', () => {
    if (hadTerminal && !hasTerminal()) stop('the terminal was closed')
    else keeper.reload()
  })
}

/** Whether this process has a controlling terminal, which sends SIGHUP when it is closed. */
function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'))
    return true
  } catch {
    return false
  }
}

function withDataFlag(environment: Environment, data: string | null): Environment {
  return data === null ? environment : { ...environment, SWITCHYARD_DATA: resolve(data) }
}
