import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConsoleServer } from './admin/console/console-server.ts'
import { HttpServer } from './admin/http/http-server.ts'
import type { RouterControl } from './admin/router-control.ts'
import { clientGeneration } from './admin/slot-id.ts'
import { StatsSampler } from './admin/stats/stats-sampler.ts'
import { configWarnings } from './config/config-warnings.ts'
import type { Environment } from './config/environment.ts'
import type { Config } from './config/schema.ts'
import { AccountFinder } from './control/account-finder.ts'
import { loginSecrets } from './control/accounts/login-secrets.ts'
import { CatalogueFinder } from './control/catalogue/catalogue-finder.ts'
import { Continuity } from './control/continuity.ts'
import { EventLog } from './control/events/event-log.ts'
import { Learning, type LearningOptions } from './control/learning/learning.ts'
import { Monitor } from './control/monitor/monitor.ts'
import { planeSight } from './control/monitor/plane-sight.ts'
import { resolveHost } from './control/monitor/shard-addresses.ts'
import { ShardIds } from './control/monitor/shard-ids.ts'
import { TimelineLedger } from './control/monitor/timeline-ledger.ts'
import { WalWatch } from './control/monitor/wal-watch.ts'
import { RecentLosses } from './control/operations/recent-losses.ts'
import { PlaneLink } from './control/plane-link/plane-link.ts'
import { VerifierCache } from './control/policy/verifier-cache.ts'
import { PreservationFile } from './control/preservation-file.ts'
import { type KeptClient, PreservationLedger } from './control/preservation-ledger.ts'
import { knownShards, lastPauses, lastVersions, pausesFile } from './control/recovered-state.ts'
import { Router } from './control/router.ts'
import { openLogs, type RouterLogs } from './control/router-logs.ts'
import { AddedShards } from './control/scaling/added-shards.ts'
import { openShardSource, type ShardSource } from './control/shard-source.ts'
import type { UpgradeLine } from './control/upgrade-line.ts'
import { hostPort } from './control/welcome.ts'
import { OwnedFd } from './io/owned-fd.ts'
import { SharedMapping } from './io/shared-memory.ts'
import type { Logger } from './log.ts'
import { readClient } from './memory/client-slots.ts'
import type { KeeperOrder, StopMode } from './memory/keeper-control-protocol.ts'
import { PAGE_BYTES, regionsOf, tlsBytes } from './memory/layout.ts'
import { openSharedState, readGeometry, type SharedState } from './memory/shared-state.ts'
import { monotonicMs } from './util/monotonic-clock.ts'
import { VERSION } from './version.ts'

/** What a control process is given. */
export interface ControlOptions {
  readonly environment: Environment
  readonly order: Extract<KeeperOrder, { op: 'start' }>
  readonly memoryFd: number
  readonly pid: number
  readonly logDestination: number
  /** The console asks for a shutdown; `stop` follows if the keeper agrees. */
  readonly requestStop: (mode: StopMode, reason: string) => void
  readonly upgrades: UpgradeLine
}

/** A control process that serves. */
export interface Control {
  readonly router: Router
  readonly source: ShardSource
  readonly httpUrl: string
  readonly log: Logger
  /** Once clients are drained: closes everything in the reverse order of the start, planes included. */
  close(keepShards: boolean): Promise<void>
  /** Closes what a successor has to open, and leaves the rest as it is. */
  leave(): Promise<void>
}

const PLANES_EXIT_MS = 1_000
/** An operation that is at work when the router stops may end in this time; the next start goes on with it otherwise. */
const OPERATION_END_MS = 5_000
/** At the first start clients wait meanwhile, so one shard that does not answer may not take long. */
const FIRST_PROBES_MS = 1_000

/**
 * Builds and starts everything that is not on the way of a query. Rejects with `ConfigError` or `LocalClusterError` when
 * the operator has to do something, and with the reason of `signal` when it was aborted; nothing is left open then that
 * the end of this process would not close.
 */
export async function composeControl(options: ControlOptions, signal: AbortSignal): Promise<Control> {
  const { order, environment } = options
  const logs = openLogs({ ...options, configFile: order.configFile })
  const { log } = logs
  const memory = openMemory(options.memoryFd)
  const last = lastVersions(memory)
  const seen = openSeen(memory, log, order.runDirectory)
  let continuity: Continuity | null = null
  const begin = { firstVersion: last.topology + 1, onTopology: () => continuity?.look() }
  const watch = composeWatch(options, logs, seen, begin)
  const { monitor, walWatch, link } = watch
  // Before all that takes time: planes that know us do not have to dial again and again.
  await link.listen(join(order.runDirectory, 'control.sock'))
  const { configFile, dataDirectory } = order
  const added = new AddedShards(dataDirectory, (reason) => log.warn(reason))
  const source = await openShardSource({ configFile, dataDirectory, environment, signal, added, log })
  const config = firstConfig(source, log)
  const parts = { ...watch, ...seen, added, dataDirectory, environment, log, now: monotonicMs }
  continuity = new Continuity({ ...parts, wallClock: () => Date.now() }, config)
  const operations = continuity
  const learning: Learning = composeLearning({ memory, dataDirectory, link, monitor, log, config: () => router.config })
  const secrets = loginSecrets(dataDirectory)
  const router: Router = new Router({
    version: VERSION,
    startedAt: order.startedAt,
    config,
    readConfig: source.readConfig,
    consoleSocket: consoleSocketOf(order.runDirectory),
    verifiers: new VerifierCache(secrets.verifiers),
    mockSecret: secrets.mock,
    firstValuesVersion: last.values + 1,
    ...parts,
    ...{ continuity, learning },
    onLogLevel: logs.setLevel,
    ...{ requestStop: options.requestStop, upgrades: options.upgrades },
  })
  // First, so that planes have the model when they let clients in.
  learning.start(order.first)
  if (order.first) await router.start([], FIRST_PROBES_MS)
  else await router.start(lastPauses(order.runDirectory, memory), config.monitor.timeoutMs)
  link.pauses.keepIn((databases) => writeFileSync(pausesFile(order.runDirectory), JSON.stringify(databases)))
  const admin = await openAdministration(router, config, consoleSocketOf(order.runDirectory), log)
  return {
    router,
    source,
    log,
    httpUrl: admin.httpUrl,
    async close(keepShards) {
      await admin.close()
      await operations.close(OPERATION_END_MS)
      await link.exitAll(PLANES_EXIT_MS)
      learning.stop()
      await link.close()
      await walWatch.close()
      await monitor.close()
      await watch.accounts.close()
      await source.end(keepShards)
    },
    async leave() {
      await admin.close()
      learning.stop()
      await source.end(true)
      seen.reports.flush()
    },
  }
}

function firstConfig(source: ShardSource, log: Logger): Config {
  const config = source.readConfig()
  for (const warning of configWarnings(config, Date.now())) log.warn(warning)
  return config
}

const consoleSocketOf = (runDirectory: string): string => join(runDirectory, 'console.sock')

function composeLearning(
  parts: Pick<LearningOptions, 'memory' | 'dataDirectory' | 'config' | 'log'> & {
    readonly link: PlaneLink
    readonly monitor: Monitor
  },
): Learning {
  const { link, monitor, ...rest } = parts
  return new Learning({
    ...rest,
    shards: () => monitor.topology.shards,
    ask: (shard, question, timeoutMs) => monitor.rows(shard, question, timeoutMs),
    now: monotonicMs,
    wallClock: () => Date.now(),
    publish: (model) => link.publishModel(model),
  })
}

interface Watch {
  readonly monitor: Monitor
  readonly accounts: AccountFinder
  readonly catalogues: CatalogueFinder
  readonly walWatch: WalWatch
  readonly link: PlaneLink
}

/** What was and is, as far as control knows. */
interface Seen {
  readonly memory: SharedState
  /** Where `preservation` is kept. */
  readonly reports: PreservationFile
  readonly preservation: PreservationLedger
  readonly losses: RecentLosses
  readonly events: EventLog
}

function openSeen(memory: SharedState, log: Logger, runDirectory: string): Seen {
  const reports = new PreservationFile(runDirectory, (reason) => log.warn(reason))
  const preservation = new PreservationLedger((slot, generation) => whoIs(memory, slot, generation), reports)
  const losses = new RecentLosses(memory, monotonicMs)
  return { memory, reports, preservation, losses, events: new EventLog(log, () => Date.now()) }
}

/** What looks at shards and talks to planes: each of the three needs the others. */
function composeWatch(
  { order }: ControlOptions,
  logs: RouterLogs,
  { memory, preservation, losses, events }: Seen,
  { firstVersion, onTopology }: { readonly firstVersion: number; readonly onTopology: () => void },
): Watch {
  const { log } = logs
  const monitor: Monitor = new Monitor({
    ids: new ShardIds(order.first ? [] : knownShards(memory)),
    timelines: new TimelineLedger(order.dataDirectory, (reason) => log.warn(reason)),
    resolve: resolveHost,
    firstVersion,
    onTopology: (topology) => {
      link.publishTopology(topology)
      onTopology()
    },
    sight: (shard) => planeSight(memory, shard),
    events,
    now: monotonicMs,
  })
  const walWatch = new WalWatch(memory, monotonicMs)
  const accounts = new AccountFinder({
    topology: () => monitor.topology,
    usesTls: (shard) => monitor.usesTls(shard),
    now: monotonicMs,
  })
  const catalogues = new CatalogueFinder({
    topology: () => monitor.topology,
    usesTls: (shard) => monitor.usesTls(shard),
    log,
  })
  const link: PlaneLink = new PlaneLink({
    planes: memory.geometry.planes,
    findFunctions: (question) => catalogues.find(question),
    findAccount: (user, database) => accounts.find(user, database),
    // What comes of it shows at the next login.
    onAccountRefused: (user, database) => void accounts.refresh(user, database),
    onSuspect: (shard, reason) => monitor.doubt(shard, reason),
    onWrote: (group) => walWatch.wrote(group),
    onClientLost: (shard, client) => losses.note(shard, client),
    onPreserved: (event) => preservation.add(event),
    onLog: (plane, pid, event) => logs.planes.write(plane, pid, event),
    log,
  })
  return { monitor, walWatch, accounts, catalogues, link }
}

/** The segment that the keeper made: its first page says how long it is. */
function openMemory(fd: number): SharedState {
  const owned = new OwnedFd(fd)
  const { totalBytes } = regionsOf(readGeometry(new SharedMapping(owned, PAGE_BYTES).memory))
  const mapping = new SharedMapping(owned, totalBytes)
  const shared = openSharedState(mapping.memory)
  mapping.hideFromDumps(shared.regions.clientTls, tlsBytes(shared.regions))
  return shared
}

/** For the preservation report; null when the slot is not this client's any more. */
function whoIs({ clients }: SharedState, slot: number, generation: number): KeptClient | null {
  const client = readClient(clients, slot)
  if (client === null || clientGeneration(clients, slot) !== generation) return null
  const { user, database, applicationName, address, remotePort } = client
  return { slot, generation, user, database, applicationName, address, remotePort }
}

interface Administration {
  readonly httpUrl: string
  close(): Promise<void>
}

async function openAdministration(
  control: RouterControl,
  config: Config,
  consoleSocket: string,
  log: Logger,
): Promise<Administration> {
  const stats = new StatsSampler(control)
  const report = { control, stats }
  const failed = (error: unknown): void => log.error({ err: error }, 'administration failed')
  const console = new ConsoleServer({
    report,
    randomBytes,
    failed,
    audit: ({ login, command, error }) => {
      const fields = { user: login.user, application: login.applicationName, client: login.client, command }
      if (error === null) log.info(fields, `${login.user} at the console: ${command}`)
      else log.warn({ ...fields, reason: error.message }, `${login.user} at the console: ${command}: ${error.message}`)
    },
  })
  await console.listen(consoleSocket)
  const http = new HttpServer(report, failed)
  const { address, port } = await http.listen(config.http.address, config.http.port)
  stats.start()
  return {
    httpUrl: `http://${hostPort({ address, port })}`,
    async close() {
      stats.stop()
      await Promise.all([http.close(), console.close()])
    },
  }
}
