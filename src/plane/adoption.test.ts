import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openArena, openSocketPair, RawPeer } from '../io/link-host.fixture.ts'
import { NativeBuffer } from '../io/native.ts'
import { CLIENT, CLIENT_FLAG, CLIENT_STATE, type ClientState } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { Adoption } from './adoption.ts'

const PLANE = 1
const WORDS = CLIENT_SLOT_BYTES >> 2

class Bench {
  readonly clients = new Region(new ArrayBuffer(8 * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, 8)
  readonly servers = new Region(new ArrayBuffer(8 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 8)
  readonly arena = openArena(4 * 1024 * 1024).arena
  readonly gone: SlotReference[] = []
  readonly dropped: SlotReference[] = []
  readonly adoption: Adoption
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
    const { clients, servers, arena, gone, dropped } = this
    const host = { planeIndex: PLANE, clients, servers, arena, outbound: NativeBuffer.allocate(4096) }
    this.adoption = new Adoption(host, { gone: (slot) => gone.push(slot), drop: (slot) => dropped.push(slot) })
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
  assert.deepEqual([report.clients, report.told], [1, 1])
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
  assert.deepEqual(
    [report.clients, report.told, Object.values(report.reasons).reduce((sum, count) => sum + count)],
    [5, 0, 5],
  )
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
  assert.deepEqual(bench.adoption.complete(), { clients: 0, servers: 0, told: 0, reasons: {} })
})
