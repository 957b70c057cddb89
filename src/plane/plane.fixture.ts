import assert from 'node:assert/strict'
import { arch } from 'node:os'
import type { TestContext } from 'node:test'
import { BufferArena } from '../io/buffer-arena.ts'
import { openRingIfAllowed, RawPeer } from '../io/link-host.fixture.ts'
import { native } from '../io/native.ts'
import { PlainSends } from '../io/plain-sends.ts'
import { planeMemory } from '../io/plane-memory.ts'
import { Poller } from '../io/poller.ts'
import { ReadAhead } from '../io/read-ahead.ts'
import { ReadBuffers } from '../io/read-buffers.ts'
import { SendBatch } from '../io/send-batch.ts'
import { createMemoryFile, SharedMapping } from '../io/shared-memory.ts'
import { openSocketPair } from '../io/socket.ts'
import { Steps } from '../io/steps.ts'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import { regionsOf, valueStoreBytes } from '../memory/layout.ts'
import { formatSharedState, type SharedState } from '../memory/shared-state.ts'
import { StepLog } from '../memory/step-log.ts'
import { ValueStore } from '../memory/value-store.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import { writeQuery, writeStartup } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { TestShard } from '../server/shard-peer.fixture.ts'
import type { DatabaseValue, PlaneValues, TimeoutValues } from '../shard/plane-values.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { NO_VALUES } from './no-values.ts'
import { Plane } from './plane.ts'

/** Client slots for those who may log in when the others are taken. */
const RESERVED_SLOTS = 4
const GEOMETRY = {
  clientSlots: 16,
  ordinaryClientSlots: 16 - RESERVED_SLOTS,
  serverSlots: 16,
  poolRecords: 8,
  planes: 1,
  arenaBytesPerPlane: 4 * 1024 * 1024,
} as const
const STORE_BYTES = valueStoreBytes(GEOMETRY.arenaBytesPerPlane)

export const TEST_DATABASE: DatabaseValue = {
  name: 'shop',
  group: 'main',
  role: 'primary',
  serverDatabase: null,
  serverUser: null,
  serverPassword: null,
  poolMode: null,
  poolSize: null,
  minPoolSize: null,
  maxClients: null,
}

/** For tests: a client on the other end of a socket pair, trusted. */
export class TestClient {
  readonly peer: RawPeer
  readonly #plane: TestPlane
  #bytes: Buffer = Buffer.alloc(0)
  /** The router has closed the connection, or its direction of it. */
  ended = false

  constructor(plane: TestPlane, peer: RawPeer) {
    this.#plane = plane
    this.peer = peer
  }

  startup(user: string, database = 'shop', settings: readonly (readonly [string, string])[] = []): void {
    const writer = new MessageWriter()
    writeStartup(writer, 0, [['user', user], ['database', database], ...settings])
    this.send(writer.bytes)
  }

  /** Up to the first ReadyForQuery. */
  login(user = 'ada', settings: readonly (readonly [string, string])[] = []): this {
    this.startup(user, 'shop', settings)
    assert.equal(this.told().at(-1), 'Z I')
    return this
  }

  query(sql: string): void {
    const writer = new MessageWriter()
    writeQuery(writer, sql)
    this.send(writer.bytes)
  }

  /** And lets happen what follows. */
  send(bytes: Buffer): void {
    assert.equal(this.peer.send(bytes), bytes.length)
    this.#plane.settle()
  }

  /** Messages since the last time: `type severity sqlstate` of errors, `Z status`, else the type. */
  told(): string[] {
    for (let part = this.peer.receive(); part === null || part.length > 0; part = this.peer.receive()) {
      if (part === null) {
        this.ended = true
        break
      }
      this.#bytes = Buffer.concat([this.#bytes, part])
    }
    const list: string[] = []
    while (this.#bytes.length >= HEADER_BYTES) {
      const end = 1 + lengthAt(this.#bytes, 1)
      const type = String.fromCharCode(this.#bytes[0] as number)
      if (type === 'Z') list.push(`Z ${String.fromCharCode(this.#bytes[HEADER_BYTES] as number)}`)
      else if (type === 'E' || type === 'N') {
        const { severity, sqlstate } = readErrorFields(this.#bytes, HEADER_BYTES, end)
        list.push(`${type} ${severity} ${sqlstate}`)
      } else list.push(type)
      this.#bytes = this.#bytes.subarray(end)
    }
    return list
  }
}

/** For tests: a whole plane and a shard in one poller, turned by hand. */
export class TestPlane {
  readonly plane: Plane
  readonly shard: TestShard
  readonly shared: SharedState
  readonly log: StepLog
  readonly events: PlaneEvent[] = []
  /** Client slots that were given back. */
  readonly gone: number[] = []
  readonly #poller = new Poller(arch())
  readonly #timers = new TimerWheel(1000)
  readonly #clients: TestClient[] = []

  constructor(timeouts: Partial<TimeoutValues>, poolSize: number, clientSlots: number = GEOMETRY.clientSlots) {
    const geometry = { ...GEOMETRY, clientSlots, ordinaryClientSlots: clientSlots - RESERVED_SLOTS }
    const { totalBytes, arenas } = regionsOf(geometry)
    const file = createMemoryFile('test', totalBytes)
    const mapping = new SharedMapping(file, totalBytes)
    file.close()
    this.shared = formatSharedState(mapping.memory, geometry, 0)
    const memory = planeMemory(mapping, arenas, totalBytes - arenas, STORE_BYTES, 4)
    const { buffers, buffersAt } = memory
    const arena = new BufferArena(buffers, (offset, bytes) => mapping.discard(buffersAt + offset, bytes))
    this.log = new StepLog(memory.stepLog)
    const steps = new Steps(this.log, arena, null)
    const queue = openRingIfAllowed() ?? new PlainSends()
    const sends = new SendBatch(queue, steps, memory.own)
    const reads = new ReadBuffers(memory.reads, sends, steps)
    const readAhead = new ReadAhead(queue.receives, reads, sends, steps)
    this.#poller.ahead = readAhead
    this.shard = new TestShard(this.#poller)
    this.plane = new Plane({
      planeIndex: 0,
      shared: this.shared,
      poller: this.#poller,
      timers: this.#timers,
      arena,
      reads,
      readAhead,
      sends,
      steps,
      gathers: memory,
      store: new ValueStore(memory.values),
      clock: () => 1000,
      random: () => 0.5,
      values: testPlaneValues(this.shard, timeouts, poolSize, clientSlots - RESERVED_SLOTS),
      opinion: null,
      randomBytes: (count) => Buffer.alloc(count, 5),
      tell: (event) => this.events.push(event) > 0,
      gone: ({ slot }) => this.gone.push(slot),
      keep: () => {},
      drop: () => {},
    })
    this.plane.now = 1000
  }

  connect(): TestClient {
    const [mine, theirs] = openSocketPair()
    const slot = this.#clients.length
    const client = new TestClient(this, new RawPeer(theirs))
    this.#clients.push(client)
    const place = { slot, generation: 1, family: 1, remotePort: 0, localPort: 0, address: '' } as const
    this.plane.accept(place, mine)
    return client
  }

  /** Wake-ups until nothing happens any more. */
  settle(): void {
    for (let quiet = 0; quiet < 3; ) {
      const count = this.#poller.wait(quiet === 0 ? 0 : 1)
      this.#poller.dispatch(count, () => this.plane.deferred.run())
      this.plane.settle()
      quiet = count > 0 ? 0 : quiet + 1
    }
  }

  /** Time goes by; what is due happens. */
  pass(milliseconds: number): void {
    this.plane.now += milliseconds
    this.#timers.advance(this.plane.now)
    this.settle()
  }

  /** Everything ends; nothing may be left. */
  close(): void {
    for (const { peer } of this.#clients) peer.close()
    this.pass(10_000)
    assert.equal(this.plane.sessions.size, 0)
    for (const pool of this.plane.poolSet.all) pool.kill('test is over')
    this.shard.close()
    assert.equal(this.plane.arena.buffersInUse, 0)
    const faults = this.events.filter((event) => event.op === 'log' && event.level === 'error')
    assert.deepEqual(faults, [])
    native.close(this.#poller.fd)
  }
}

/** Everybody is trusted, and every database is in the group of one shard. */
export function testPlaneValues(
  shard: TestShard,
  timeouts: Partial<TimeoutValues>,
  poolSize: number,
  maxClients: number = GEOMETRY.ordinaryClientSlots,
): PlaneValues {
  return {
    ...NO_VALUES,
    version: 1,
    limits: { ...NO_VALUES.limits, maxClients, preparedStatements: 10, notificationBytes: 10_000 },
    timeouts: { ...NO_VALUES.timeouts, ...timeouts },
    pool: { ...NO_VALUES.pool, size: poolSize },
    databases: [{ ...TEST_DATABASE, name: '*' }],
    hba: [{ type: 'local', databases: ['all'], users: ['all'], addresses: [], method: 'trust', line: 1 }],
    topology: { version: 1, shards: [shard.value()] },
  }
}

/** One that is closed after the test, with nothing left in it. */
export function openPlane(
  t: TestContext,
  timeouts: Partial<TimeoutValues> = {},
  poolSize = 2,
  clientSlots: number = GEOMETRY.clientSlots,
): TestPlane {
  const plane = new TestPlane(timeouts, poolSize, clientSlots)
  t.after(() => plane.close())
  return plane
}
