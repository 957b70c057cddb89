import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Environment } from '../config/environment.ts'
import { loadConfig } from '../config/load-config.ts'
import type { Config } from '../config/schema.ts'
import { localConfig } from '../control/local-settings.ts'
import { ConfigError } from '../errors.ts'
import { lockFile } from '../io/file-lock.ts'
import { raiseOpenFileLimit } from '../io/process-limits.ts'
import { planCapacity } from '../keeper/capacity.ts'
import { adoptClientListeners, openClientListeners } from '../keeper/client-listeners.ts'
import { claimDataDirectory, type DataDirectory } from '../keeper/data-directory.ts'
import { Keeper, type KeeperOptions } from '../keeper/keeper.ts'
import { OperatorSocket } from '../keeper/operator-socket.ts'
import { findOrphans } from '../keeper/orphans.ts'
import type { Program } from '../keeper/program.ts'
import { createRouterMemory, openRouterMemory } from '../keeper/router-memory.ts'
import { createLogger, type Logger } from '../log.ts'
import { HEADER } from '../memory/layout.ts'
import { planesLock, planesSocket, type RestartCommand, restartFile } from '../memory/run-directory.ts'
import { KEEPER_SOCKET } from '../memory/upgrade-protocol.ts'
import { monotonicMs, wallClockOffsetMs } from '../util/monotonic-clock.ts'
import { requireFreeHttpPort } from './http-port.ts'

/**
 * A plane allocates next to nothing per query. After a rush of logins V8 would keep a young generation of tens of megabytes,
 * several times what its clients need.
 */
const PLANE_YOUNG_GENERATION = '--max-semi-space-size=1'
/** Node's own code on huge pages, where the system allows it: see io/huge-pages.ts. */
const PLANE_HUGE_PAGES = '--use-largepages=silent'

/** What `start` needs of the process it runs in. */
export interface StartContext {
  readonly environment: Environment
  /** Program and first arguments that run this program again. */
  readonly self: readonly [string, ...string[]]
  readonly pid: number
  readonly architecture: string
  readonly onSignal: (signal: 'SIGTERM' | 'SIGINT' | 'SIGHUP' | 'SIGUSR2', handler: () => void) => void
  readonly setTitle: (title: string) => void
  readonly workingDirectory: string
  /** Makes this process another one (execve(2)). Throws when that is not possible. */
  readonly execute: (command: readonly [string, ...string[]], environment: Environment) => void
  /** File descriptor of the log. */
  readonly logDestination: number
}

export interface StartFlags {
  readonly config: string | null
  readonly data: string | null
  readonly keepShards: boolean
  /** A service manager restarts this program when it dies. */
  readonly supervised: boolean
}

/** From a keeper to the program that takes its place. */
const STATUS_VARIABLE = 'SWITCHYARD_UPGRADE_STATUS'

/** Planes dial twenty times a second. */
const ORPHANS_MS = 5_000

/**
 * `switchyard start`: this process becomes the keeper. Returns the exit code once everything has ended. Throws
 * `ConfigError` when the configuration, a port or the data directory cannot be used.
 */
export async function start(flags: StartFlags, context: StartContext): Promise<number> {
  const environment = withDataFlag(context.environment, flags.data)
  const config = flags.config === null ? localConfig(environment) : loadConfig(flags.config, environment)
  const log = createLogger({ ...config.log, process: 'keeper', pid: context.pid, destination: context.logDestination })
  const openFiles = raiseOpenFileLimit()
  const directory = claimDataDirectory(resolve(config.data.directory), context.pid)
  let keepsDirectory = false
  try {
    const adopted = await adoptRouter(directory, context.pid, log)
    const resources = adopted ?? (await openRouter({ config, openFiles, directory, context, log }))
    const { listeners } = resources
    try {
      writeRestartCommand(flags, context, directory)
      context.setTitle('switchyard: keeper')
      const keeper = new Keeper({ ...keeperOptions(flags, context, directory, resources), ...resources, log })
      listenToSignals(keeper, context)
      const operators = new OperatorSocket(keeper)
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
  } catch (error) {
    // What planes need to find another keeper.
    keepsDirectory = directory.hasOrphans()
    throw error
  } finally {
    if (!keepsDirectory) directory.release()
  }
}

/** Everything that a keeper needs of the operating system. */
type KeeperResources = Pick<KeeperOptions, 'memory' | 'lockFd' | 'listeners' | 'orphans'>

interface Opening {
  readonly config: Config
  readonly openFiles: number
  readonly directory: DataDirectory
  readonly context: StartContext
  readonly log: Logger
}

/** For a router that starts from nothing. */
async function openRouter({ config, openFiles, directory, context, log }: Opening): Promise<KeeperResources> {
  const capacity = planCapacity({
    maxClients: config.limits.maxClients,
    bufferMemoryBytes: config.limits.bufferMemoryBytes,
    serverConnections: config.shards.reduce((sum, { maxConnections }) => sum + maxConnections, 0),
    openFiles,
  })
  if (capacity.warning !== null) log.warn(capacity.warning)
  await requireFreeHttpPort(config.http)
  const listeners = await openClientListeners({ ...config.listen, pid: context.pid })
  const memory = createRouterMemory(capacity.geometry, wallClockOffsetMs(), monotonicMs())
  const lock = lockFile(planesLock(directory.runDirectory))
  if (lock === null) throw new Error('the lock of the planes of a new router is taken')
  return { memory, lockFd: lock.fd, listeners, orphans: [] }
}

/** What the planes have of a router whose keeper has died; null when there is none. */
async function adoptRouter(directory: DataDirectory, pid: number, log: Logger): Promise<KeeperResources | null> {
  const { runDirectory, hasOrphans } = directory
  if (!hasOrphans()) return null
  log.warn('the keeper of this router has died; this process takes its place')
  const path = planesSocket(runDirectory)
  rmSync(path, { force: true })
  const found = await findOrphans({
    path,
    count: (memory) => openRouterMemory(memory).state.geometry.planes,
    areAlive: hasOrphans,
    patienceMs: ORPHANS_MS,
  })
  if (found === null) {
    if (!hasOrphans()) return null
    throw new ConfigError(
      `Processes of an earlier Switchyard run on and do not answer (${runDirectory}); end those that are called ` +
        '"switchyard: plane", and start it again.',
    )
  }
  const { memory, lock, orphans, listeners } = found
  return { memory: openRouterMemory(memory), lockFd: lock.fd, orphans, listeners: adoptClientListeners(listeners, pid) }
}

/** For control and planes, should this process die. */
function writeRestartCommand(
  flags: StartFlags,
  { self, workingDirectory }: StartContext,
  directory: DataDirectory,
): void {
  const file = restartFile(directory.runDirectory)
  rmSync(file, { force: true })
  if (flags.supervised) return
  const command = [...self, 'start', ...startOptions(flags, directory.path)] as const
  const restart: RestartCommand = { command, directory: workingDirectory }
  writeFileSync(file, JSON.stringify(restart), { mode: 0o600 })
}

/** What a keeper in the place of this one is started with. */
function startOptions({ config, keepShards, supervised }: StartFlags, dataDirectory: string): readonly string[] {
  return [
    ...(config === null ? [] : ['--config', resolve(config)]),
    ...['--data', dataDirectory],
    ...(keepShards ? ['--keep-shards'] : []),
    ...(supervised ? ['--supervised'] : []),
  ]
}

function keeperOptions(
  flags: StartFlags,
  context: StartContext,
  directory: DataDirectory,
  { memory, listeners }: KeeperResources,
) {
  const { config, keepShards } = flags
  const { self, environment, pid, architecture } = context
  const startedAt = memory.state.headerF64[HEADER.startedAt] ?? 0
  const listening = listeners.map(({ place }) => place)
  const { path: dataDirectory, runDirectory } = directory
  // Flags for node in the planes: profilers, mostly.
  const moreFlags = (environment.SWITCHYARD_NODE_OPTIONS ?? '').split(' ').filter((flag) => flag !== '')
  const hugePages = environment.SWITCHYARD_HUGE_PAGES === 'off' ? [] : [PLANE_HUGE_PAGES]
  const planeFlags = [PLANE_YOUNG_GENERATION, ...hugePages, ...moreFlags]
  const keeper = String(pid)
  return {
    pid,
    architecture,
    upgradeStatus: environment[STATUS_VARIABLE] ?? '',
    becomeKeeperOf: (program: Program, upgradeStatus: string) =>
      context.execute([...program, 'start', ...startOptions(flags, dataDirectory)], {
        ...environment,
        [STATUS_VARIABLE]: upgradeStatus,
      }),
    environment: { ...environment, SWITCHYARD_DATA: dataDirectory },
    now: monotonicMs,
    program: self,
    onProgram: (program: Program) => writeRestartCommand(flags, { ...context, self: program }, directory),
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
