import { ShardAdmissions } from '../admission/shard-admissions.ts'
import { Analyzer } from '../analyzer/analyzer.ts'
import type { CompiledHba } from '../auth/hba.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import type { ClientHost, PlaneCounter } from '../client/client-host.ts'
import type { ClientSession } from '../client/client-session.ts'
import { FunctionCatalogues } from '../client/function-catalogues.ts'
import { PoolChoices } from '../client/pool-choices.ts'
import { ReadRouting } from '../client/read-routing.ts'
import { ReplicaWaits } from '../client/replica-waits.ts'
import { greetClient } from '../client/session-arrival.ts'
import { SessionRecordReader } from '../client/session-record-reader.ts'
import { SessionRecords } from '../client/session-records.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import { DeferredWork } from '../io/deferred.ts'
import { Gather } from '../io/gather.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import type { ReadAhead } from '../io/read-ahead.ts'
import type { ReadBuffers } from '../io/read-buffers.ts'
import type { SendBatch } from '../io/send-batch.ts'
import type { Steps } from '../io/steps.ts'
import { CLIENT, CLIENT_STATE } from '../memory/client-slots.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { slotMark } from '../memory/slot-mark.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { Route } from '../router/route.ts'
import { RouteTable } from '../router/route-table.ts'
import { ListenerSet } from '../server/listener-set.ts'
import { PoolSet } from '../server/pool-set.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import { ParameterRegistry, type ParameterSet } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import type { DatabaseValue, PlaneValues } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import { StatementFacts } from '../sql/statement-facts.ts'
import type { TimerWheel } from '../util/timer-wheel.ts'
import { Accounts } from './accounts.ts'
import { clientIdentity } from './client-identity.ts'
import { ClientSignals } from './client-signals.ts'
import { ClientTable } from './client-table.ts'
import type { CpuShares } from './cpu-shares.ts'
import { cpuSharesOf } from './cpu-shares-of.ts'
import { restingHost } from './kept-clients.ts'
import { PlaneChanges } from './plane-changes.ts'
import { PlaneConfiguration } from './plane-configuration.ts'
import type { PlaneParts } from './plane-parts.ts'
import { PlaneRecord } from './plane-record.ts'
import type { PlaneTls } from './plane-tls.ts'
import { type RestingClient, RestingClients } from './resting-clients.ts'
import { ServerSlotList } from './server-slot-list.ts'

/** Bytes of messages of our own that are put together before they leave. */
const OUTBOUND_BYTES = 65_536
const CIPHERTEXT_BYTES = 32_768
const SCRAM_KEYS = 1000

/** Everything that the sessions of one plane share: what `ClientHost` says, and the tables behind it. */
export class Plane implements ClientHost {
  readonly planeIndex: number
  readonly poller: Poller
  readonly timers: TimerWheel
  readonly arena: BufferArena
  readonly reads: ReadBuffers
  readonly readAhead: ReadAhead
  readonly sends: SendBatch
  readonly steps: Steps
  readonly deferred: DeferredWork
  readonly progress: Int32Array
  readonly outbound: NativeBuffer = NativeBuffer.allocate(OUTBOUND_BYTES)
  readonly ciphertext: NativeBuffer = NativeBuffer.allocate(CIPHERTEXT_BYTES)
  readonly toClient: Gather
  readonly toServer: Gather
  readonly clients: Region
  readonly clientTlsRecords: Region
  readonly serverTlsRecords: Region
  readonly servers: Region
  readonly pools: Region
  readonly parameters: ParameterRegistry = new ParameterRegistry()
  readonly statements: StatementRegistry = new StatementRegistry()
  readonly scramKeys: ScramKeyCache = new ScramKeyCache(SCRAM_KEYS)
  readonly facts: StatementFacts
  readonly opinion: SecondOpinion | null
  readonly acceptedSettings: Map<string, ParameterSet> = new Map()
  readonly records: SessionRecords
  /** What a process before this one has recorded. */
  readonly recorded: SessionRecordReader
  readonly store: ValueStore
  readonly poolSet: PoolSet
  readonly poolChoices: PoolChoices = new PoolChoices(this)
  readonly admissions: ShardAdmissions
  readonly routes: RouteTable
  readonly readRouting: ReadRouting
  readonly replicaWaits: ReplicaWaits = new ReplicaWaits(this)
  readonly cpuShares: CpuShares
  readonly listeners: ListenerSet
  readonly accounts: Accounts
  readonly analyzer: Analyzer
  readonly catalogues: FunctionCatalogues
  readonly sessions: ClientTable
  readonly signals: ClientSignals = new ClientSignals(this)
  readonly resting: RestingClients
  readonly record: PlaneRecord
  readonly serverSlots: ServerSlotList
  readonly randomBytes: (count: number) => Buffer
  readonly #parts: PlaneParts
  readonly #configuration = new PlaneConfiguration()
  readonly #changes = new PlaneChanges(this, this.#configuration)
  now = 0
  epoch = 0
  refusing = false
  draining = false

  constructor(parts: PlaneParts) {
    this.#parts = parts
    this.accounts = new Accounts((event) => parts.tell(event))
    this.catalogues = new FunctionCatalogues((question) => parts.tell(question), {
      opinion: parts.opinion,
      onFound: (group, database) => this.#changes.renewServers(group, database),
    })
    this.planeIndex = parts.planeIndex
    this.opinion = parts.opinion
    this.randomBytes = parts.randomBytes
    this.facts = new StatementFacts(parts.opinion)
    this.poller = parts.poller
    this.timers = parts.timers
    this.arena = parts.arena
    this.reads = parts.reads
    this.readAhead = parts.readAhead
    this.store = parts.store
    const written = { store: parts.store, clients: parts.shared.clients, arena: parts.arena }
    this.records = new SessionRecords(written)
    this.recorded = new SessionRecordReader(written, this.parameters, this.statements)
    this.sends = parts.sends
    this.steps = parts.steps
    this.deferred = new DeferredWork(() => {
      if (this.isCrowded) this.sends.settle()
      parts.steps.next()
    })
    this.toClient = new Gather(parts.gathers.toClient, parts.sends)
    this.toServer = new Gather(parts.gathers.toServer, parts.sends)
    this.clients = parts.shared.clients
    this.clientTlsRecords = parts.shared.clientTls
    this.serverTlsRecords = parts.shared.serverTls
    this.servers = parts.shared.servers
    this.pools = parts.shared.pools
    this.record = new PlaneRecord(parts.shared.planes, parts.planeIndex)
    this.progress = this.record.slotInProgress
    this.analyzer = new Analyzer(parts.shared, parts.planeIndex, (counter) => this.record.add(counter))
    this.resting = new RestingClients(restingHost(this))
    this.sessions = new ClientTable(this.clients, this.resting)
    this.serverSlots = new ServerSlotList(this.servers)
    this.admissions = new ShardAdmissions(this, parts.shared.shards)
    this.routes = new RouteTable(this.admissions)
    this.readRouting = new ReadRouting(this, parts.shared.shards, parts.clock, parts.random, parts.values.policy)
    this.poolSet = new PoolSet(this, parts.values.pool, (shard) => this.admissions.of(shard))
    this.cpuShares = cpuSharesOf(this)
    this.listeners = new ListenerSet(this)
    this.setValues(parts.values)
  }

  /** So much is held back that it is better to `settle` before the next event. */
  get isCrowded(): boolean {
    return this.reads.isCrowded || this.sends.isCrowded || this.toClient.isCrowded || this.toServer.isCrowded
  }

  get inbound(): NativeBuffer {
    return this.reads.current
  }

  get values(): PlaneValues {
    return this.#configuration.values
  }

  get timeouts(): PlaneValues['timeouts'] {
    return this.#configuration.values.timeouts
  }

  get limits(): PlaneValues['limits'] {
    return this.#configuration.values.limits
  }

  get hba(): CompiledHba {
    return this.#configuration.hba
  }

  get clientTls(): PlaneTls['client'] {
    return this.#configuration.tls.client
  }

  get serverTls(): PlaneTls['server'] {
    return this.#configuration.tls.server
  }

  get consoleShard(): Shard {
    return this.#configuration.consoleShard
  }

  /** New configuration; existing sessions keep what they have, new transactions follow it. */
  setValues(values: PlaneValues): void {
    this.#changes.setValues(values)
  }

  setTopology(topology: Topology): void {
    this.#changes.setTopology(topology)
  }

  accept(client: NewClient, fd: OwnedFd): void {
    this.progress[0] = slotMark(this.clients, client.slot)
    this.record.add('accepted')
    this.sessions.add(greetClient(this, client, fd))
  }

  /** A client that another process has left, and that cannot be gone on with. */
  abandonClient(client: RestingClient): void {
    client.fd.close()
    this.clients.i32[client.slot * (this.clients.recordBytes >> 2) + CLIENT.state] = CLIENT_STATE.closing
    this.#parts.gone(client)
  }

  /** The slot is taken from now on, by the connection that had it. */
  keepServerSlot(server: SlotReference): void {
    this.serverSlots.keep(server)
  }

  clientGone(session: ClientSession): void {
    this.sessions.remove(session)
    this.record.add('clientsClosed')
    this.#parts.gone({ slot: session.slot, generation: session.generation })
  }

  poolsChanged(): void {
    this.epoch++
  }

  takeServerSlot(): number {
    return this.serverSlots.take()
  }

  serverOpened(slot: number, fd: OwnedFd): void {
    this.#parts.keep(this.serverSlots.opened(slot), fd)
  }

  freeServerSlot(slot: number): void {
    this.record.add('serversClosed')
    this.#parts.drop(this.serverSlots.release(slot))
  }

  database(name: string): DatabaseValue | null {
    return this.#configuration.database(name)
  }

  ruleOf(slot: number): TierRule | null {
    return this.#configuration.ruleAt(this.analyzer.ruleOf(slot))
  }

  claimOf(slot: number, tier: number): number {
    return this.#configuration.countsApart ? this.#configuration.claimUnder(this.analyzer.ruleOf(slot), tier) : tier
  }

  route(group: string): Route {
    return this.#configuration.route(group)
  }

  holdForRoute(waiter: PoolWaiter): void {
    this.#changes.hold(waiter)
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    this.#parts.tell({ op: 'log', level, message, fields })
  }

  wrote(group: string): void {
    this.#parts.tell({ op: 'wrote', group })
  }

  clientLost(slot: number, shard: number, reason: string): void {
    const generation = (this.clients.i32[slot * (this.clients.recordBytes >> 2) + CLIENT.generation] ?? 0) >>> 0
    const who = clientIdentity(this.clients, slot, generation)
    this.#parts.tell({ op: 'client-lost', shard, client: { ...who, reason, told: true } })
  }

  suspect(shard: number, reason: string): void {
    this.#parts.tell({ op: 'suspect', shard, reason })
  }

  countPlane(field: PlaneCounter): void {
    this.record.add(field)
  }

  /** The end of a wake-up: everything that was held back leaves, and whoever it concerns goes on. */
  settle(): void {
    do {
      this.deferred.run()
      this.sends.settle()
    } while (!this.deferred.isEmpty)
  }
}
