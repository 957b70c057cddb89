import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SessionRecordReader } from '../client/session-record-reader.ts'
import { openArena, openTcpPair, RawPeer } from '../io/link-host.fixture.ts'
import { NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import {
  CLIENT,
  CLIENT_F64,
  CLIENT_FLAG,
  CLIENT_SECTION,
  CLIENT_SECTIONS,
  CLIENT_STATE,
  CLIENT_STEP,
  CLIENT_TEXT,
  type ClientState,
} from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_SECTIONS, SERVER_STATE, SERVER_STEP, type ServerState } from '../memory/server-slots.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { heldSection, nextSection, SECTION, SECTION_BYTES } from '../memory/slot-section.ts'
import { STEP_LOG_BYTES, StepLog } from '../memory/step-log.ts'
import { TLS_RECORD_BYTES } from '../memory/tls-records.ts'
import { ValueStore } from '../memory/value-store.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { StatementRegistry } from '../session/prepared-statements.ts'
import type { AdoptionReport } from './adopted.ts'
import { Adoption } from './adoption.ts'

const PLANE = 1
const WORDS = CLIENT_SLOT_BYTES >> 2
/** Slots of clients and servers, and a buffer that a read landed in, in one memory as they are. */
const SLOTS = 8
const READ_AT = SLOTS * (CLIENT_SLOT_BYTES + SERVER_SLOT_BYTES)

interface Written {
  readonly read?: number
  readonly written?: number
  readonly inbox?: string
  readonly outbox?: string
  readonly peer?: number
  readonly flags?: number
  readonly body?: number
}

class Bench {
  readonly memory = new ArrayBuffer(READ_AT + READ_HEADROOM + 4096)
  readonly clients = new Region(this.memory, 0, CLIENT_SLOT_BYTES, SLOTS)
  readonly servers = new Region(this.memory, SLOTS * CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES, SLOTS)
  readonly read = Buffer.from(this.memory, READ_AT)
  readonly arena = openArena(4 * 1024 * 1024).arena
  readonly log = new StepLog(Buffer.alloc(STEP_LOG_BYTES))
  readonly gone: SlotReference[] = []
  readonly dropped: SlotReference[] = []
  readonly keptSlots: SlotReference[] = []
  readonly adoption: Adoption
  readonly #t: TestContext
  readonly #identity: number
  readonly #settings: number

  constructor(t: TestContext) {
    this.#t = t
    const { clients, servers, arena, gone, dropped, keptSlots, log } = this
    const store = new ValueStore(Buffer.alloc(4096))
    const credential = { password: null, md5Hash: null, keys: null, scramPassword: null }
    this.#identity = store.put(Buffer.from(JSON.stringify({ user: 'anna', database: 'shop', credential })))
    this.#settings = store.put(Buffer.from(JSON.stringify([['timezone', 'UTC']])))
    const recorded = new SessionRecordReader(
      { store, clients, arena },
      new ParameterRegistry(),
      new StatementRegistry(),
    )
    const outbound = NativeBuffer.allocate(4096)
    const tlsRecords = (count: number): Region =>
      new Region(new ArrayBuffer(count * TLS_RECORD_BYTES), 0, TLS_RECORD_BYTES, count)
    const clientTlsRecords = tlsRecords(clients.count)
    const serverTlsRecords = tlsRecords(servers.count)
    const keepServerSlot = (slot: SlotReference): number => keptSlots.push(slot)
    const reads = [{ bytes: this.read } as NativeBuffer]
    this.adoption = new Adoption(
      {
        planeIndex: PLANE,
        clients,
        servers,
        clientTlsRecords,
        serverTlsRecords,
        arena,
        recorded,
        outbound,
        keepServerSlot,
      },
      { gone: (slot) => gone.push(slot), drop: (slot) => dropped.push(slot) },
      { log, reads, inProgress: 0, keptHandle: 0 },
    )
    log.begin()
  }

  /** A client of the plane that died, as it was committed; what it sees, and our end of it. */
  client(slot: number, state: ClientState, written: Written = {}, flags = 0): { peer: RawPeer; fd: OwnedFd } {
    const { i32 } = this.clients
    i32[slot * WORDS + CLIENT.state] = CLIENT_STATE[state]
    i32[slot * WORDS + CLIENT.plane] = PLANE
    i32[slot * WORDS + CLIENT.flags] = flags
    i32[slot * WORDS + CLIENT.remotePort] = 4321
    i32[slot * WORDS + CLIENT.identityId] = this.#identity
    this.clients.writeText(slot, CLIENT_TEXT.address.offset, CLIENT_TEXT.address.capacity, '127.0.0.1')
    const at = this.#section(this.clients, slot, CLIENT_SECTIONS, CLIENT_STATE[state], written)
    i32[at + CLIENT_SECTION.initialId] = this.#settings
    i32[at + CLIENT_SECTION.parametersId] = this.#settings
    return this.#connection((fd) => this.adoption.addClient({ slot, generation: 9 }, fd))
  }

  server(slot: number, state: ServerState, written: Written = {}): { peer: RawPeer; fd: OwnedFd } {
    const { i32 } = this.servers
    i32[slot * WORDS + SERVER.state] = SERVER_STATE[state]
    i32[slot * WORDS + SERVER.plane] = PLANE
    this.#section(this.servers, slot, SERVER_SECTIONS, SERVER_STATE[state], written)
    return this.#connection((fd) => this.adoption.addServer({ slot, generation: 5 }, fd))
  }

  #section(region: Region, slot: number, offset: number, state: number, written: Written): number {
    const { i32, f64 } = region
    const at = nextSection(region, slot, offset)
    f64[(at + SECTION.read) >> 1] = written.read ?? 0
    f64[(at + SECTION.written) >> 1] = written.written ?? 0
    i32[at + SECTION.state] = state
    i32[at + SECTION.peer] = written.peer === undefined ? 0 : written.peer + 1
    i32[at + SECTION.flags] = written.flags ?? 0
    i32[at + SECTION.body] = written.body ?? 0
    const keep = (text: string | undefined, handle: number, bytes: number): void => {
      if (text === undefined) return
      i32[at + handle] = this.arena.allocate(text.length)
      i32[at + bytes] = text.length
      this.arena.memory.bytes.write(text, this.arena.offset(i32[at + handle] as number), 'latin1')
    }
    keep(written.inbox, SECTION.inboxHandle, SECTION.inboxBytes)
    keep(written.outbox, SECTION.outboxHandle, SECTION.outboxBytes)
    f64[at >> 1] = 1
    return at
  }

  /** A client of which nothing was ever committed, in the second step of the plane. */
  first(
    slot: number,
    state: ClientState,
    { generation = 9, flags = 0 } = {},
  ): { readonly peer: RawPeer; readonly fd: OwnedFd } {
    const { i32 } = this.clients
    i32[slot * WORDS + CLIENT.state] = CLIENT_STATE[state]
    i32[slot * WORDS + CLIENT.generation] = generation
    i32[slot * WORDS + CLIENT.flags] = flags
    if (this.log.committed === 0) this.commit()
    this.log.begin()
    // As its links would have written it.
    const at = nextSection(this.clients, slot, CLIENT_SECTIONS)
    i32[at + SECTION.state] = CLIENT_STATE[state]
    i32[at + SECTION.extraHandle] = 77
    this.clients.f64[at >> 1] = 2
    return this.#connection((fd) => this.adoption.addClient({ slot, generation: 9 }, fd))
  }

  /** Everything so far counts, and this much of the sends. */
  commit(sends = 0): void {
    this.log.commit(sends)
  }

  #connection(add: (fd: OwnedFd) => void): { peer: RawPeer; fd: OwnedFd } {
    const [theirs, mine] = openTcpPair()
    const peer = new RawPeer(theirs)
    this.#t.after(() => {
      peer.close()
      if (!mine.closed) mine.close()
    })
    add(mine)
    return { peer, fd: mine }
  }

  waiting(slot: number, handle: number, bytes: number): string {
    const { i32 } = this.clients
    const at = this.arena.offset(i32[slot * WORDS + handle] as number)
    return this.arena.memory.bytes.toString('latin1', at, at + (i32[slot * WORDS + bytes] as number))
  }
}

const reasons = ({ outcomes }: AdoptionReport): readonly string[] =>
  outcomes.map((outcome) => (outcome.kept ? 'kept' : `${outcome.client.reason}${outcome.client.told ? ', told' : ''}`))

/** Everything that the peer was sent, up to the end of the connection. */
function heard(peer: RawPeer): Buffer {
  const parts: Buffer[] = []
  const deadline = performance.now() + 5000
  for (let part = peer.receive(); part !== null; part = peer.receive()) {
    assert.ok(performance.now() < deadline, 'the connection was not ended')
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** Our end has read everything that the peer has sent. */
function readAll(fd: OwnedFd, bytes: number): void {
  const deadline = performance.now() + 5000
  for (let left = bytes; left > 0; left -= new RawPeer(fd).receive()?.length ?? 0) {
    assert.ok(performance.now() < deadline, 'not all has come')
  }
}

test('a client is handed on with its descriptor and its record, and hears nothing', (t) => {
  const bench = new Bench(t)
  const { peer, fd } = bench.client(2, 'waiting')
  bench.commit()
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  const { clients, servers } = bench.adoption.takeAdopted()
  assert.deepEqual([clients.length, servers], [1, []])
  const [adopted] = clients
  assert.equal(adopted?.fd, fd)
  const place = { slot: 2, generation: 9, family: 4, remotePort: 4321, localPort: 0, address: '127.0.0.1' }
  assert.deepEqual(adopted.client, place)
  assert.deepEqual([adopted.record.user, adopted.record.database], ['anna', 'shop'])
  assert.equal(peer.receive()?.length, 0)
  assert.deepEqual(bench.gone, [])
  assert.deepEqual(bench.adoption.takeAdopted(), { clients: [], logins: [], resting: [], servers: [] })
})

test('one that wants nothing is handed on as it is, with who it is and where that is written down', (t) => {
  const bench = new Bench(t)
  const { peer, fd } = bench.client(2, 'idle', { read: 7, written: 8 })
  // What a step did that was never committed is not true.
  bench.clients.i32[2 * WORDS + CLIENT.state] = CLIENT_STATE.waiting
  bench.clients.f64[(2 * WORDS) / 2 + CLIENT_F64.bytesWritten] = 9
  bench.commit()
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  const { clients, resting } = bench.adoption.takeAdopted()
  const section = heldSection(bench.clients, 2, CLIENT_SECTIONS, 1)
  assert.deepEqual([clients, resting], [[], [{ slot: 2, generation: 9, fd, section, user: 'anna', database: 'shop' }]])
  const f = (2 * WORDS) / 2
  assert.equal(bench.clients.i32[2 * WORDS + CLIENT.state], CLIENT_STATE.idle)
  assert.deepEqual(
    [bench.clients.f64[f + CLIENT_F64.bytesRead], bench.clients.f64[f + CLIENT_F64.bytesWritten]],
    [7, 8],
  )
  assert.equal(peer.receive()?.length, 0)
})

test('what was written for one that wants nothing, and may not have left, is looked for', (t) => {
  const bench = new Bench(t)
  bench.client(2, 'idle', { written: 9 })
  bench.read.write('held back', READ_HEADROOM)
  bench.log.noteSend(0, slotMark(bench.clients, 2), READ_AT + READ_HEADROOM, 9)
  bench.commit(1)
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  assert.deepEqual(bench.adoption.takeAdopted().resting, [])
  assert.equal(bench.waiting(2, CLIENT.outboxHandle, CLIENT.outboxBytes), 'held back')
})

for (const state of ['idle', 'waiting'] as const) {
  test(`${state}: what was not committed does not count either when the successor dies too`, (t) => {
    const bench = new Bench(t)
    bench.client(2, state)
    bench.commit()
    const committed = heldSection(bench.clients, 2, CLIENT_SECTIONS, 1)
    const first = (2 * WORDS * 4 + CLIENT_SECTIONS) >> 2
    const other = first + (committed === first ? SECTION_BYTES >> 2 : 0)
    bench.clients.i32.copyWithin(other, committed, committed + (SECTION_BYTES >> 2))
    bench.clients.i32[other + SECTION.body] = 77
    bench.clients.f64[other >> 1] = 2
    bench.adoption.complete()
    const { body } = SECTION
    assert.equal(bench.log.committed, 2)
    assert.equal(bench.clients.i32[heldSection(bench.clients, 2, CLIENT_SECTIONS, 2) + body], 0)
  })
}

test('what was read and not committed comes again, behind what waited before', (t) => {
  const bench = new Bench(t)
  const { peer, fd } = bench.client(2, 'idle', { read: 5, inbox: 'hello' })
  peer.send('hello world')
  readAll(fd, 11)
  bench.commit()
  bench.log.begin()
  bench.read.write(' world', READ_HEADROOM)
  bench.log.noteRead(0, slotMark(bench.clients, 2), 5)
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  assert.equal(bench.waiting(2, CLIENT.inboxHandle, CLIENT.inboxBytes), 'hello world')
  assert.equal(bench.clients.f64[2 * (WORDS >> 1) + CLIENT_F64.bytesRead], 11)
  assert.equal(bench.arena.buffersInUse, 1)
})

test('of what was committed, exactly what the kernel has not got waits to be sent', (t) => {
  const bench = new Bench(t)
  const { fd } = bench.client(2, 'idle', { written: 16, outbox: 'parked;' })
  new RawPeer(fd).send('parked;he')
  bench.read.write('held back', READ_HEADROOM)
  bench.log.noteSend(0, slotMark(bench.clients, 2), READ_AT + READ_HEADROOM, 9)
  bench.commit(1)
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  assert.equal(bench.waiting(2, CLIENT.outboxHandle, CLIENT.outboxBytes), 'ld back')
  assert.equal(bench.clients.f64[2 * (WORDS >> 1) + CLIENT_F64.bytesWritten], 9)
})

test('a section that was not committed does not count', (t) => {
  const bench = new Bench(t)
  const { peer } = bench.client(1, 'idle')
  assert.deepEqual(reasons(bench.adoption.complete()), ['it was leaving'])
  assert.deepEqual(heard(peer), Buffer.alloc(0))
  assert.deepEqual(bench.gone, [{ slot: 1, generation: 9 }])
})

for (const state of ['login', 'closing'] as const) {
  test(`${state} in the first step of all, which does not count: what was read comes again`, (t) => {
    const bench = new Bench(t)
    const { peer, fd } = bench.first(2, state)
    peer.send('startup')
    readAll(fd, 7)
    bench.read.write('startup', READ_HEADROOM)
    bench.log.noteRead(0, slotMark(bench.clients, 2), 0)
    assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
    const { clients, logins } = bench.adoption.takeAdopted()
    assert.deepEqual([clients.length, logins.length], [0, 1])
    assert.deepEqual([logins[0]?.fd, logins[0]?.login.transcript.takeHeard().length], [fd, 0])
    assert.equal(bench.waiting(2, CLIENT.inboxHandle, CLIENT.inboxBytes), 'startup')
    assert.equal(peer.receive()?.length, 0)
  })
}

test('the first step of all is not undone for another client, with keys that are lost, or where bytes are missing', (t) => {
  const bench = new Bench(t)
  bench.first(2, 'login', { generation: 8 })
  bench.first(3, 'login', { flags: CLIENT_FLAG.tls })
  const { peer, fd } = bench.first(4, 'login')
  peer.send('startup')
  readAll(fd, 7)
  assert.deepEqual(reasons(bench.adoption.complete()), new Array(3).fill('its login was not over'))
})

test('a client goes on with its server connection, and not without it', (t) => {
  const bench = new Bench(t)
  bench.client(1, 'active', { peer: 4 })
  bench.server(4, 'active', { peer: 1 })
  const { peer } = bench.client(2, 'active', { peer: 5 })
  bench.server(5, 'active', { peer: 2, flags: SERVER_STEP.torn })
  bench.server(6, 'idle')
  bench.server(7, 'login')
  bench.commit()
  const report = bench.adoption.complete()
  assert.deepEqual(reasons(report), ['kept', 'its server connection is lost, told'])
  const { clients, servers } = bench.adoption.takeAdopted()
  assert.deepEqual(
    clients.map(({ record }) => record.serverSlot),
    [4],
  )
  assert.deepEqual(
    servers.map(({ slot }) => slot),
    [4, 6],
  )
  assert.deepEqual(bench.keptSlots.length, 2)
  assert.deepEqual(
    bench.dropped.map(({ slot }) => slot),
    [5, 7],
  )
  assert.deepEqual([report.servers, report.keptServers], [4, 2])
  assert.equal(bench.servers.i32[5 * WORDS + SERVER.state], SERVER_STATE.free)
  const bytes = heard(peer)
  const { severity, sqlstate, message, hint } = readErrorFields(bytes, HEADER_BYTES, bytes.length)
  const told = ['FATAL', '57P01', 'terminating connection due to administrator command']
  assert.deepEqual([severity, sqlstate, message], told)
  assert.match(hint ?? '', /In a moment you should be able to reconnect to the database and repeat your command\./)
})

test('nothing is said to TLS clients, during a login, or to whoever is leaving', (t) => {
  const bench = new Bench(t)
  const peers = [
    bench.client(2, 'idle', {}, CLIENT_FLAG.tls),
    bench.client(3, 'login', { flags: CLIENT_STEP.torn }),
    bench.client(4, 'closing'),
    bench.client(5, 'idle', { read: 1, inbox: 'x' }),
  ]
  bench.commit()
  const report = bench.adoption.complete()
  for (const { peer } of peers) assert.deepEqual(heard(peer), Buffer.alloc(0))
  assert.deepEqual(bench.gone.length, 4)
  assert.ok(report.outcomes.every((outcome) => !outcome.kept && !outcome.client.told))
})

test('a client for whom something is run again goes on without the server connection that has got a part of it', (t) => {
  const bench = new Bench(t)
  bench.client(1, 'active', { flags: CLIENT_STEP.torn | CLIENT_STEP.replaying })
  bench.server(4, 'active', { peer: 1, flags: SERVER_STEP.torn })
  bench.client(2, 'active', { flags: CLIENT_STEP.torn })
  bench.commit()
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept', 'it was in the middle of what cannot be written down'])
  assert.deepEqual(
    bench.dropped.map(({ slot }) => slot),
    [4],
  )
})

test('what a client sent in vain does not keep it from hearing why its connection ends', (t) => {
  const bench = new Bench(t)
  const { peer } = bench.client(0, 'active', { peer: 3 })
  bench.server(3, 'active', { peer: 0, flags: SERVER_STEP.torn })
  peer.send(Buffer.alloc(30_000, 'Q'))
  bench.commit()
  bench.adoption.complete()
  assert.match(heard(peer).toString(), /57P01/)
})

test('buffers of those who are not gone on with are free again, and no slot refers to one', (t) => {
  const bench = new Bench(t)
  bench.client(1, 'waiting', { inbox: 'x', flags: 1 })
  bench.server(3, 'closing', { inbox: 'y' })
  bench.commit()
  bench.adoption.complete()
  assert.deepEqual([bench.arena.buffersInUse, bench.arena.bytesInUse], [0, 0])
  for (const field of [CLIENT.inboxHandle, CLIENT.inboxBytes, CLIENT.outboxHandle, CLIENT.outboxBytes]) {
    assert.equal(bench.clients.i32[1 * WORDS + field], 0)
  }
  // Another plane that dies before the keeper heard of it would otherwise take the client for one nobody looked at.
  assert.equal(bench.clients.i32[1 * WORDS + CLIENT.state], CLIENT_STATE.closing)
})

test('server slots of this plane are free when nobody goes on with them, those of other planes are left alone', (t) => {
  const bench = new Bench(t)
  bench.servers.i32[4 * WORDS + SERVER.state] = SERVER_STATE.active
  bench.servers.i32[4 * WORDS + SERVER.plane] = PLANE
  bench.servers.i32[5 * WORDS + SERVER.state] = SERVER_STATE.active
  bench.servers.i32[5 * WORDS + SERVER.plane] = PLANE + 1
  bench.adoption.complete()
  assert.deepEqual(
    [4, 5].map((slot) => bench.servers.i32[slot * WORDS + SERVER.state]),
    [SERVER_STATE.free, SERVER_STATE.active],
  )
})

test('a plane without a predecessor has nothing to report', (t) => {
  const bench = new Bench(t)
  assert.deepEqual(bench.adoption.complete(), { servers: 0, keptServers: 0, serverReasons: {}, outcomes: [] })
})
