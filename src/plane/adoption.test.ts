import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SessionRecords } from '../client/session-records.ts'
import { openArena, openSocketPair, openTcpPair, RawPeer } from '../io/link-host.fixture.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { CLIENT, CLIENT_F64, CLIENT_FLAG, CLIENT_STATE, CLIENT_TEXT, type ClientState } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { ValueStore } from '../memory/value-store.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { Adoption, type AdoptionReport } from './adoption.ts'

const PLANE = 1
const IN_PROGRESS = 0
const WORDS = CLIENT_SLOT_BYTES >> 2

class Bench {
  readonly clients = new Region(new ArrayBuffer(8 * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, 8)
  readonly servers = new Region(new ArrayBuffer(8 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 8)
  readonly arena = openArena(4 * 1024 * 1024).arena
  readonly gone: SlotReference[] = []
  readonly dropped: SlotReference[] = []
  readonly adoption: Adoption
  readonly records: SessionRecords
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
    const { clients, servers, arena, gone, dropped } = this
    const records = new SessionRecords(new ValueStore(Buffer.alloc(4096)), clients, new ParameterRegistry())
    const host = { planeIndex: PLANE, clients, servers, arena, records, outbound: NativeBuffer.allocate(4096) }
    this.records = records
    this.adoption = new Adoption(
      host,
      { gone: (slot) => gone.push(slot), drop: (slot) => dropped.push(slot) },
      IN_PROGRESS,
    )
  }

  /** A client whose plane died; what it sees. */
  client(slot: number, state: ClientState, fields: Partial<Record<keyof typeof CLIENT, number>> = {}): RawPeer {
    const all = { state: CLIENT_STATE[state], plane: PLANE, ...fields }
    for (const [name, value] of Object.entries(all)) {
      this.clients.i32[slot * WORDS + CLIENT[name as keyof typeof CLIENT]] = value
    }
    return this.#connection((fd) => this.adoption.addClient({ slot, generation: 9 }, fd))
  }

  /** A server connection in this slot, as its plane left it. */
  server(slot: number, fields: Partial<Record<keyof typeof SERVER, number>> = {}): void {
    const all = { state: SERVER_STATE.active, plane: PLANE, ...fields }
    for (const [name, value] of Object.entries(all)) {
      this.servers.i32[slot * WORDS + SERVER[name as keyof typeof SERVER]] = value
    }
  }

  keptServer(slot: number): RawPeer {
    this.server(slot)
    return this.#connection((fd) => this.adoption.addServer({ slot, generation: 5 }, fd))
  }

  #connection(add: (fd: ReturnType<typeof openSocketPair>[0]) => void): RawPeer {
    const [mine, theirs] = openSocketPair()
    const peer = new RawPeer(theirs)
    this.#t.after(() => peer.close())
    add(mine)
    return peer
  }
}

const NOTHING = Buffer.alloc(0)

const kept = ({ outcomes }: AdoptionReport): number => outcomes.filter((outcome) => outcome.kept).length
const told = ({ outcomes }: AdoptionReport): number =>
  outcomes.filter((outcome) => !outcome.kept && outcome.client.told).length

/** Everything that the peer was sent, up to the end of the connection. */
function heard(peer: RawPeer): Buffer {
  const parts: Buffer[] = []
  for (let part = peer.receive(); part !== null; part = peer.receive()) {
    assert.ok(part.length > 0, 'the connection was not ended')
    parts.push(part)
  }
  return Buffer.concat(parts)
}

test('a client that can hear it is told as PostgreSQL tells it, and its connection ends', (t) => {
  const bench = new Bench(t)
  const peer = bench.client(3, 'idle')
  const report = bench.adoption.complete()
  const bytes = heard(peer)
  assert.equal(bytes[0], 'E'.charCodeAt(0))
  const { severity, sqlstate, message } = readErrorFields(bytes, HEADER_BYTES, bytes.length)
  assert.deepEqual(
    [severity, sqlstate, message],
    ['FATAL', '57P01', 'terminating connection due to administrator command'],
  )
  assert.match(
    bytes.toString(),
    /HIn a moment you should be able to reconnect to the database and repeat your command\./,
  )
  assert.deepEqual(bench.gone, [{ slot: 3, generation: 9 }])
  assert.deepEqual([report.outcomes.length, told(report)], [1, 1])
})

test('what a client sent in vain does not keep it from hearing why its connection ends', (t) => {
  const bench = new Bench(t)
  const peer = bench.client(0, 'active')
  peer.send(Buffer.alloc(30_000, 'Q'))
  bench.adoption.complete()
  assert.match(heard(peer).toString(), /57P01/)
})

test('nothing is said in the middle of a message, to TLS clients, or during a login', (t) => {
  const bench = new Bench(t)
  bench.server(6, { bodyRemaining: 100 })
  const peers = [
    bench.client(0, 'active', { outboxBytes: 3 }),
    bench.client(1, 'active', { server: 7 }),
    bench.client(2, 'idle', { flags: CLIENT_FLAG.tls }),
    bench.client(3, 'login'),
    bench.client(4, 'closing'),
  ]
  const report = bench.adoption.complete()
  for (const peer of peers) assert.deepEqual(heard(peer), NOTHING)
  assert.equal(bench.gone.length, 5)
  assert.deepEqual([report.outcomes.length, told(report), report.outcomes.length - kept(report)], [5, 0, 5])
})

test('server connections are closed and dropped, and every server slot of this plane is free, kept or not', (t) => {
  const bench = new Bench(t)
  const peer = bench.keptServer(2)
  bench.server(4)
  bench.server(5, { plane: PLANE + 1 })
  const report = bench.adoption.complete()
  assert.deepEqual(heard(peer), NOTHING)
  assert.deepEqual(bench.dropped, [{ slot: 2, generation: 5 }])
  assert.equal(report.servers, 1)
  assert.deepEqual(
    [2, 4, 5].map((slot) => bench.servers.i32[slot * WORDS + SERVER.state]),
    [SERVER_STATE.free, SERVER_STATE.free, SERVER_STATE.active],
  )
})

test('buffers that waited for clients and servers are free again, and no slot refers to one', (t) => {
  const bench = new Bench(t)
  const buffers = Array.from({ length: 4 }, () => bench.arena.allocate(10_000)) as [number, number, number, number]
  bench.client(1, 'waiting', { inboxHandle: buffers[0], inboxBytes: 10 })
  bench.client(2, 'active', { outboxHandle: buffers[1], outboxBytes: 10 })
  bench.server(3, { inboxHandle: buffers[2], inboxBytes: 10 })
  bench.adoption.complete()
  assert.deepEqual([bench.arena.buffersInUse, bench.arena.bytesInUse], [0, 0])
  assert.deepEqual(
    buffers.map((handle) => bench.arena.capacity(handle)),
    [0, 0, 0, 0],
  )
  for (const slot of [1, 2]) {
    for (const field of [CLIENT.inboxHandle, CLIENT.inboxBytes, CLIENT.outboxHandle, CLIENT.outboxBytes]) {
      assert.equal(bench.clients.i32[slot * WORDS + field], 0)
    }
    // Another plane that dies before the keeper heard of it would otherwise take the client for one nobody looked at.
    assert.equal(bench.clients.i32[slot * WORDS + CLIENT.state], CLIENT_STATE.closing)
  }
})

test('a plane without a predecessor has nothing to report', (t) => {
  const bench = new Bench(t)
  assert.deepEqual(bench.adoption.complete(), { servers: 0, outcomes: [] })
})

/** A client over TCP that is at rest, with everything in its slot and record. */
function resting(t: TestContext, bench: Bench, slot: number): { readonly peer: RawPeer; readonly fd: OwnedFd } {
  const [theirs, mine] = openTcpPair()
  const peer = new RawPeer(theirs)
  t.after(() => {
    peer.close()
    if (!mine.closed) mine.close()
  })
  const parameters = new ParameterRegistry().of([['timezone', 'UTC']])
  const credential = { scram: null, password: null, md5Hash: null }
  const address = '127.0.0.1'
  bench.clients.i32[slot * WORDS + CLIENT.state] = CLIENT_STATE.idle
  bench.clients.i32[slot * WORDS + CLIENT.plane] = PLANE
  bench.clients.i32[slot * WORDS + CLIENT.remotePort] = 4321
  bench.clients.writeText(slot, CLIENT_TEXT.address.offset, CLIENT_TEXT.address.capacity, address)
  bench.records.identify(slot, { user: 'anna', database: 'shop', credential })
  bench.records.remember(slot, { initial: parameters, parameters, transactionLost: false }, null)
  bench.adoption.addClient({ slot, generation: 9 }, mine)
  return { peer, fd: mine }
}

test('a client at rest is handed on with its descriptor, its buffers and its record, and hears nothing', (t) => {
  const bench = new Bench(t)
  const handle = bench.arena.allocate(100)
  bench.clients.i32[2 * WORDS + CLIENT.inboxHandle] = handle
  const { peer, fd } = resting(t, bench, 2)
  const report = bench.adoption.complete()
  assert.deepEqual([report.outcomes.length, kept(report), told(report)], [1, 1, 0])
  const [adopted, ...others] = bench.adoption.takeAdopted()
  assert.deepEqual(others, [])
  assert.equal(adopted?.fd, fd)
  assert.deepEqual(adopted.client, {
    slot: 2,
    generation: 9,
    family: 4,
    remotePort: 4321,
    localPort: 0,
    address: '127.0.0.1',
  })
  assert.deepEqual([adopted.record.user, adopted.record.database], ['anna', 'shop'])
  assert.equal(peer.receive()?.length, 0)
  assert.equal(bench.arena.buffersInUse, 1)
  assert.deepEqual(bench.gone, [])
  assert.deepEqual(bench.adoption.takeAdopted(), [])
})

test('what had left without the dead plane having counted it is counted', (t) => {
  const bench = new Bench(t)
  const { fd } = resting(t, bench, 2)
  new RawPeer(fd).send('answer')
  bench.clients.i32[2 * WORDS + CLIENT.heldBytes] = 6
  assert.equal(kept(bench.adoption.complete()), 1)
  assert.equal(bench.clients.f64[2 * (WORDS >> 1) + CLIENT_F64.bytesWritten], 6)
  assert.equal(bench.clients.i32[2 * WORDS + CLIENT.heldBytes], 0)
})

test('a client whose request was read and is nowhere is told', (t) => {
  const bench = new Bench(t)
  const { peer, fd } = resting(t, bench, 2)
  peer.send('request')
  const deadline = performance.now() + 5000
  while ((new RawPeer(fd).receive()?.length ?? 0) === 0) assert.ok(performance.now() < deadline)
  const report = bench.adoption.complete()
  assert.deepEqual(
    report.outcomes.map((outcome) => (outcome.kept ? '' : outcome.client.reason)),
    ['what it sent last is lost'],
  )
  assert.equal(told(report), 1)
})
