import { timingSafeEqual } from 'node:crypto'
import { type CompiledHba, compileHba } from '../auth/hba.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import type { AccountAnswer, ClientHost } from '../client/client-host.ts'
import { ClientSession } from '../client/client-session.ts'
import { cancelProcessId } from '../client/client-slot.ts'
import { poolSettings } from '../client/pool-choice.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import { DeferredWork } from '../io/deferred.ts'
import { Gather } from '../io/gather.ts'
import { READ_BYTES, READ_HEADROOM } from '../io/link.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { Poller } from '../io/poller.ts'
import { CLIENT, CLIENT_TEXT } from '../memory/client-slots.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'
import { PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER } from '../memory/server-slots.ts'
import type { SharedState } from '../memory/shared-state.ts'
import { type Route, routeToPrimary } from '../router/route.ts'
import { PoolSet } from '../server/pool-set.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import type { PoolWaiter } from '../server/server-pool.ts'
import { ParameterRegistry, type ParameterSet } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import type { DatabaseValue, PlaneValues, UserValue } from '../shard/plane-values.ts'
import type { Shard, Topology } from '../shard/topology.ts'
import { StatementFacts } from '../sql/statement-facts.ts'
import { Fifo } from '../util/fifo.ts'
import type { TimerWheel } from '../util/timer-wheel.ts'
import { Accounts } from './accounts.ts'
import { CancelRequest } from './cancel-request.ts'
import { freeTls, NO_TLS, openTls, type PlaneTls } from './plane-tls.ts'

/** Bytes of messages of our own that are put together before they leave. */
const OUTBOUND_BYTES = 65_536
const GATHER_BYTES = 65_536
const CIPHERTEXT_BYTES = 32_768
const SCRAM_KEYS = 1000

export interface PlaneParts {
  readonly planeIndex: number
  readonly shared: SharedState
  readonly poller: Poller
  readonly timers: TimerWheel
  readonly arena: BufferArena
  /** READ_HEADROOM + READ_BYTES in shared memory. */
  readonly inbound: NativeBuffer
  readonly values: PlaneValues
  randomBytes(count: number): Buffer
  /** Says it to the control process, if that listens. */
  tell(event: PlaneEvent): boolean
  /** The keeper may give the slot to somebody else. */
  gone(client: SlotReference): void
  /** The keeper holds a duplicate of a server connection's descriptor, until `drop`. */
  keep(server: SlotReference, fd: OwnedFd): void
  drop(server: SlotReference): void
}

/** Everything that the sessions of one plane share: what `ClientHost` says, and the tables behind it. */
export class Plane implements ClientHost {
  readonly planeIndex: number
  readonly poller: Poller
  readonly timers: TimerWheel
  readonly arena: BufferArena
  readonly inbound: NativeBuffer
  readonly deferred: DeferredWork = new DeferredWork()
  readonly outbound: NativeBuffer = NativeBuffer.allocate(OUTBOUND_BYTES)
  readonly ciphertext: NativeBuffer = NativeBuffer.allocate(CIPHERTEXT_BYTES)
  readonly toClient: Gather = new Gather(NativeBuffer.allocate(GATHER_BYTES))
  readonly toServer: Gather = new Gather(NativeBuffer.allocate(GATHER_BYTES))
  readonly clients: Region
  readonly servers: Region
  readonly pools: Region
  readonly parameters: ParameterRegistry = new ParameterRegistry()
  readonly statements: StatementRegistry = new StatementRegistry()
  readonly scramKeys: ScramKeyCache = new ScramKeyCache(SCRAM_KEYS)
  readonly facts: StatementFacts = new StatementFacts()
  readonly acceptedSettings: Map<string, ParameterSet> = new Map()
  readonly poolSet: PoolSet
  readonly mockSecret: Buffer
  readonly accounts: Accounts
  readonly #parts: PlaneParts
  readonly #record: Region
  readonly #sessions: (ClientSession | null)[]
  readonly #freeServerSlots: number[] = []
  readonly #held = new Fifo<PoolWaiter>()
  readonly #counts = { user: new Map<string, number>(), database: new Map<string, number>() }
  readonly #serverGenerations: Int32Array
  #databases = new Map<string, DatabaseValue>()
  #values: PlaneValues
  #hba: CompiledHba
  #tls: PlaneTls = NO_TLS
  #open = 0
  now = 0
  epoch = 0
  draining = false
  consoleShard: Shard

  constructor(parts: PlaneParts) {
    this.#parts = parts
    this.accounts = new Accounts((event) => parts.tell(event))
    this.planeIndex = parts.planeIndex
    this.poller = parts.poller
    this.timers = parts.timers
    this.arena = parts.arena
    this.inbound = parts.inbound
    if (parts.inbound.size !== READ_HEADROOM + READ_BYTES) throw new Error('inbound buffer of the wrong size')
    this.clients = parts.shared.clients
    this.servers = parts.shared.servers
    this.pools = parts.shared.pools
    this.#record = parts.shared.planes
    this.#sessions = new Array<ClientSession | null>(this.clients.count).fill(null)
    for (let slot = this.servers.count - 1; slot >= 0; slot--) this.#freeServerSlots.push(slot)
    this.#serverGenerations = new Int32Array(this.servers.count)
    this.mockSecret = parts.randomBytes(32)
    this.poolSet = new PoolSet(this, { maxUserConnections: 0, maxDatabaseConnections: 0 })
    this.#values = parts.values
    this.#hba = { rules: [] }
    this.consoleShard = consoleShard(parts.values)
    this.setValues(parts.values)
  }

  get values(): PlaneValues {
    return this.#values
  }

  get timeouts(): PlaneValues['timeouts'] {
    return this.#values.timeouts
  }

  get limits(): PlaneValues['limits'] {
    return this.#values.limits
  }

  get hba(): CompiledHba {
    return this.#hba
  }

  get clientTls(): PlaneTls['client'] {
    return this.#tls.client
  }

  get serverTls(): PlaneTls['server'] {
    return this.#tls.server
  }

  /** Clients that are connected. */
  get openClients(): number {
    return this.#open
  }

  get sessions(): Iterable<ClientSession> {
    return this.#sessions.filter((session) => session !== null)
  }

  /** New configuration; existing sessions keep what they have, new transactions follow it. */
  setValues(values: PlaneValues): void {
    // Whatever is wrong with certificates or rules is found before anything is changed.
    const hba = compileHba(values.hba)
    const tls = openTls(values)
    const before = this.#values
    freeTls(this.#tls)
    this.#tls = tls
    this.#hba = hba
    this.#values = values
    this.accounts.replace(values.users)
    this.#databases = new Map(values.databases.map((database) => [database.name, database]))
    this.poolSet.limits = values.pool
    this.consoleShard = consoleShard(values)
    if (JSON.stringify(before.serverTls) !== JSON.stringify(values.serverTls)) {
      for (const pool of this.poolSet.all) pool.retire('server_tls has changed')
    }
    this.#note(PLANE.valuesVersion, values.version)
    this.#changed()
    this.poolSet.resize(({ database, user }) => {
      const entry = this.database(database)
      return entry === null ? null : poolSettings(this, entry, this.user(user))
    })
  }

  setTopology(topology: Topology): void {
    this.#values = { ...this.#values, topology }
    this.#note(PLANE.topologyVersion, topology.version)
    this.#changed()
  }

  /** Whoever waits may have another place to go. */
  #changed(): void {
    this.epoch++
    const waiting: PoolWaiter[] = []
    for (let waiter = this.#held.shift(); waiter; waiter = this.#held.shift()) waiting.push(waiter)
    for (const pool of this.poolSet.all) {
      if (pool.waiting > 0 && this.#isMisplaced(pool.target.shard)) waiting.push(...pool.dismissWaiters())
    }
    for (const waiter of waiting) waiter.requeue()
    this.poolSet.abandonMisplaced((shard) => this.#isMisplaced(shard))
  }

  #isMisplaced(shard: Shard): boolean {
    const route = this.route(shard.group)
    return (
      route.kind === 'hold' ||
      route.shard.id !== shard.id ||
      route.shard.address !== shard.address ||
      route.shard.port !== shard.port
    )
  }

  accept(client: NewClient, fd: OwnedFd): void {
    this.add(PLANE_F64.accepted)
    this.#open++
    this.#sessions[client.slot] = new ClientSession(this, client, fd)
  }

  clientGone(session: ClientSession): void {
    this.#sessions[session.slot] = null
    this.#open--
    this.add(PLANE_F64.clientsClosed)
    this.#parts.gone({ slot: session.slot, generation: session.generation })
  }

  session(slot: number, generation: number): ClientSession | null {
    const session = this.#sessions[slot] ?? null
    return session?.generation === generation ? session : null
  }

  randomBytes(count: number): Buffer {
    return this.#parts.randomBytes(count)
  }

  poolsChanged(): void {
    this.epoch++
  }

  takeServerSlot(): number {
    return this.#freeServerSlots.pop() ?? -1
  }

  serverOpened(slot: number, fd: OwnedFd): void {
    const generation = ((this.#serverGenerations[slot] ?? 0) + 1) | 0
    this.#serverGenerations[slot] = generation
    this.servers.i32[slot * (this.servers.recordBytes >> 2) + SERVER.generation] = generation
    this.#parts.keep({ slot, generation }, fd)
  }

  freeServerSlot(slot: number): void {
    this.#freeServerSlots.push(slot)
    this.add(PLANE_F64.serversClosed)
    this.#parts.drop({ slot, generation: this.#serverGenerations[slot] ?? 0 })
  }

  user(name: string): UserValue | null {
    return this.accounts.get(name)
  }

  listedUser(name: string): UserValue | null {
    return this.accounts.listed(name)
  }

  database(name: string): DatabaseValue | null {
    return this.#databases.get(name) ?? this.#databases.get('*') ?? null
  }

  route(group: string): Route {
    return routeToPrimary(this.#values.topology, group)
  }

  lookUpAccount(user: string, database: string, answer: (account: AccountAnswer) => void): { cancel(): void } | null {
    return this.accounts.lookUp(user, database, answer)
  }

  accountRefused(user: string, database: string): void {
    this.accounts.refused(user, database)
  }

  countClients(field: 'user' | 'database', name: string): number {
    return this.#counts[field].get(name) ?? 0
  }

  countLogin(session: ClientSession, delta: 1 | -1): void {
    for (const field of ['user', 'database'] as const) {
      const count = this.countClients(field, session[field]) + delta
      if (count === 0) this.#counts[field].delete(session[field])
      else this.#counts[field].set(session[field], count)
    }
  }

  holdForRoute(waiter: PoolWaiter): void {
    this.#held.push(waiter)
  }

  cancelByKey(processId: number, key: Buffer): void {
    this.add(PLANE_F64.cancels)
    const slot = (processId & 0xfffff) - 1
    const session = this.#sessions[slot]
    if (!session || cancelProcessId(slot, session.generation) !== processId) return
    const issued = this.clients.i32[slot * (this.clients.recordBytes >> 2) + CLIENT.cancelKeyBytes] ?? 0
    const at = slot * this.clients.recordBytes + CLIENT_TEXT.cancelKey.offset
    if (issued === 0 || issued !== key.length || !timingSafeEqual(this.clients.bytes.subarray(at, at + issued), key))
      return
    if (session.state === 'waiting') session.cancelWaiting()
    else if (session.server) this.cancelServer(session.server)
  }

  cancelServer(server: ServerConnection): void {
    CancelRequest.send(this, server)
  }

  log(level: LogLevel, message: string, fields: LogFields): void {
    this.#parts.tell({ op: 'log', level, message, fields })
  }

  suspect(shard: number, reason: string): void {
    this.#parts.tell({ op: 'suspect', shard, reason })
  }

  countPlane(field: 'refused' | 'loginFailures' | 'protocolErrors' | 'internalErrors' | 'cancels'): void {
    this.add(PLANE_F64[field])
  }

  add(field: number, value = 1): void {
    const at = this.planeIndex * (this.#record.recordBytes >> 3) + field
    this.#record.f64[at] = (this.#record.f64[at] ?? 0) + value
  }

  set(field: number, value: number): void {
    this.#record.f64[this.planeIndex * (this.#record.recordBytes >> 3) + field] = value
  }

  #note(field: number, value: number): void {
    this.#record.i32[this.planeIndex * (this.#record.recordBytes >> 2) + field] = value
  }

  /** From now on new clients are refused; others leave as they can. */
  drain(): void {
    this.draining = true
    this.#note(PLANE.draining, 1)
    for (const session of this.sessions) session.onDraining()
  }

  /** Once a second. */
  maintain(): void {
    this.poolSet.maintain(this.now)
    this.set(PLANE_F64.buffersInUse, this.arena.buffersInUse)
    this.set(PLANE_F64.bufferBytesInUse, this.arena.bytesInUse)
    if (!this.parameters.crowded) return
    const used = new Set<ParameterSet>(this.acceptedSettings.values())
    for (const session of this.sessions) {
      const { parameters, initial } = session.settings
      if (parameters) used.add(parameters)
      if (initial) used.add(initial)
    }
    for (const pool of this.poolSet.all) {
      if (pool.welcome) used.add(pool.welcome.baseline)
      for (const server of pool.servers) used.add(server.parameters).add(server.baseline)
    }
    this.parameters.sweep(used)
  }
}

function consoleShard(values: PlaneValues): Shard {
  return {
    id: -1,
    name: 'console',
    group: 'console',
    host: 'console',
    address: values.consoleSocket,
    port: 0,
    role: 'primary',
    up: true,
    maxConnections: 0,
  }
}
