import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import { Gather } from '../io/gather.ts'
import type { Link } from '../io/link.ts'
import { TestLink, TestLinkHost } from '../io/link-host.fixture.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { openSocketPair } from '../io/socket.ts'
import { POOL_RECORD_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { ValueStore } from '../memory/value-store.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import type { LimitValues, TimeoutValues } from '../shard/plane-values.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import type { ReplySink, ServerLoss } from './reply-sink.ts'
import type { ServerConnection } from './server-connection.ts'
import type { LogFields, LogLevel, ServerHost } from './server-host.ts'

const NO_TIMEOUTS: TimeoutValues = {
  clientLoginMs: 0,
  clientIdleMs: 0,
  idleTransactionMs: 0,
  queryMs: 0,
  queryWaitMs: 0,
  serverConnectMs: 0,
  serverLoginRetryMs: 1000,
  serverIdleMs: 0,
  serverLifetimeMs: 0,
  serverCheckMs: 0,
  cancelMs: 0,
  drainMs: 0,
}

const region = (recordBytes: number, count: number): Region =>
  new Region(new ArrayBuffer(recordBytes * count), 0, recordBytes, count)

/** A plane without clients, for tests: poller, timers and clock are turned by hand. */
export class TestServerHost extends TestLinkHost implements ServerHost {
  readonly servers: Region
  readonly serverTlsRecords: Region
  readonly pools: Region = region(POOL_RECORD_BYTES, 8)
  readonly timers: TimerWheel = new TimerWheel(1000)
  readonly parameters: ParameterRegistry = new ParameterRegistry()
  readonly statements: StatementRegistry = new StatementRegistry()
  readonly store: ValueStore = new ValueStore(Buffer.alloc(1_000_000))
  readonly scramKeys: ScramKeyCache = new ScramKeyCache(4)
  readonly toClient: Gather = new Gather(NativeBuffer.allocate(65_536), this.sends)
  readonly planeIndex = 0
  cpuShares: ServerHost['cpuShares'] = { suits: () => true, given: () => {}, takenBack: () => {} }
  serverTls: ServerHost['serverTls'] = { mode: 'disable', context: null }
  readonly limits: LimitValues = {
    maxClients: 10,
    maxClientsPerUser: 0,
    maxClientsPerDatabase: 0,
    startupPacketBytes: 10_000,
    startupParameters: 100,
    preparedStatements: 0,
    notificationBytes: 1000,
  }
  now = 1000
  timeouts: TimeoutValues = NO_TIMEOUTS
  readonly logged: string[] = []
  readonly suspected: string[] = []
  readonly freeSlots: number[] = []
  poolChanges = 0
  /** Where what servers say to clients goes. */
  readonly client: TestLink
  readonly #clientPeer: OwnedFd

  constructor(serverSlots = 16) {
    super()
    this.servers = region(SERVER_SLOT_BYTES, serverSlots)
    this.serverTlsRecords = region(TLS_RECORD_BYTES, serverSlots)
    const [mine, theirs] = openSocketPair()
    this.client = new TestLink(this, mine)
    this.#clientPeer = theirs
    for (let slot = serverSlots - 1; slot >= 0; slot--) this.freeSlots.push(slot)
  }

  override close(): void {
    this.client.link.close()
    this.#clientPeer.close()
    super.close()
  }

  /** Time goes by; timers that are due fire. */
  pass(milliseconds: number): void {
    this.now += milliseconds
    this.timers.advance(this.now)
  }

  /** Wake-ups until nothing happens any more. */
  settle(): void {
    for (let quiet = 0; quiet < 3; ) quiet = this.turn(quiet === 0 ? 0 : 2) > 0 ? 0 : quiet + 1
  }

  randomBytes(count: number): Buffer {
    return Buffer.alloc(count, 5)
  }

  poolsChanged(): void {
    this.poolChanges++
  }

  takeServerSlot(): number {
    return this.freeSlots.pop() ?? -1
  }

  freeServerSlot(slot: number): void {
    assert.ok(!this.freeSlots.includes(slot), `server slot ${slot} freed twice`)
    this.freeSlots.push(slot)
  }

  serverOpened(): void {}

  claimOf(_slot: number, tier: number): number {
    return tier
  }

  log(_level: LogLevel, message: string, fields: LogFields): void {
    this.logged.push(`${message}: ${fields.reason}`)
  }

  suspect(shardId: number, reason: string): void {
    this.suspected.push(`${shardId} ${reason}`)
  }
}

/** A client in the queue of a pool that takes what it gets. */
export class TestWaiter implements PoolWaiter, ReplySink {
  fifoPrevious: FifoNode | null = null
  fifoNext: FifoNode | null = null
  fifo: Fifo<FifoNode> | null = null
  waitsAs = -1
  waitingSince = 0
  claim = 1
  readonly name: string
  readonly link: Link
  /** What happened to all waiters of a test, in order. */
  readonly #story: string[]
  server: ServerConnection | null = null
  failed: ErrorFields | null = null
  lost: ServerLoss | null = null
  violation: ErrorFields | null = null
  readonly attemptsFailed: string[] = []

  constructor(host: TestServerHost, name: string, story: string[] = []) {
    this.link = host.client.link
    this.name = name
    this.#story = story
  }

  onServer(server: ServerConnection): void {
    assert.equal(this.server, null)
    this.#story.push(this.name)
    this.take(server)
  }

  take(server: ServerConnection): void {
    this.server = server
    server.attach(this, 0)
  }

  giveBack(): void {
    const { server } = this
    assert.ok(server !== null)
    this.server = null
    server.detach()
  }

  onPoolFailed(fields: ErrorFields): void {
    this.#story.push(`${this.name} failed`)
    this.failed = fields
  }

  requeue(): void {
    this.#story.push(`${this.name} requeued`)
  }

  reroute(): void {
    this.#story.push(`${this.name} is asked whether it has a better place`)
  }

  onServerLost(loss: ServerLoss): void {
    this.server = null
    this.lost = loss
  }

  onNotification(): boolean {
    return true
  }

  onViolation(fields: ErrorFields): void {
    this.violation = fields
  }

  beforeReady(): null {
    return null
  }

  withholdsReady(): boolean {
    return false
  }

  onParameter(_name: string, value: string): string {
    return value
  }

  onReady(): void {}
  onPrepared(): void {}
  onInquired(): void {}
  onCommand(): void {}
  onCleared(): void {}
  onAnswered(): void {}
  onSkipped(): void {}
  onError(): void {}
  onAttemptFailed(sqlstate: string): boolean {
    this.attemptsFailed.push(sqlstate)
    return false
  }

  readonly tie = 'none'

  leave(): boolean {
    return false
  }

  onProgress(): void {}
  onLost(): void {}
  onServerDrained(): void {}
}

/** A host that is closed after the test, with nothing left in it. */
export function openServerHost(t: TestContext, serverSlots?: number): TestServerHost {
  const host = new TestServerHost(serverSlots)
  t.after(() => host.close())
  return host
}
