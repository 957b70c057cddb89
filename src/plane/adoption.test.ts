import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RawPeer } from '../io/link-host.fixture.ts'
import { READABLE } from '../io/poller.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { CLIENT, CLIENT_F64, CLIENT_FLAG, CLIENT_SECTIONS, CLIENT_STATE, CLIENT_STEP } from '../memory/client-slots.ts'
import { SERVER, SERVER_STATE, SERVER_STEP } from '../memory/server-slots.ts'
import { slotMark } from '../memory/slot-mark.ts'
import { heldSection, SECTION, SECTION_BYTES } from '../memory/slot-section.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { HEADER_BYTES } from '../protocol/message-type.ts'
import { AdoptionBench, heard, PLANE, READ_AT, readAll, reasons, WORDS } from './adoption.fixture.ts'

test('a client is handed on with its descriptor and its record, and hears nothing', (t) => {
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
  const { peer, fd } = bench.client(2, 'idle', { read: 7, written: 8 })
  // What a step did that was never committed is not true.
  bench.clients.i32[2 * WORDS + CLIENT.state] = CLIENT_STATE.waiting
  bench.clients.f64[(2 * WORDS) / 2 + CLIENT_F64.bytesWritten] = 9
  bench.commit()
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  const { clients, resting } = bench.adoption.takeAdopted()
  const section = heldSection(bench.clients, 2, CLIENT_SECTIONS, 1)
  assert.deepEqual(
    [clients, resting],
    [[], [{ slot: 2, generation: 9, fd, key: -1, section, user: 'anna', database: 'shop' }]],
  )
  const f = (2 * WORDS) / 2
  assert.equal(bench.clients.i32[2 * WORDS + CLIENT.state], CLIENT_STATE.idle)
  assert.deepEqual(
    [bench.clients.f64[f + CLIENT_F64.bytesRead], bench.clients.f64[f + CLIENT_F64.bytesWritten]],
    [7, 8],
  )
  assert.equal(peer.receive()?.length, 0)
})

test('whom the poller knows already is watched on where it rests, and not where its session has to begin', (t) => {
  const bench = new AdoptionBench(t)
  const { poller } = bench
  const seen: string[] = []
  const watched = (slot: number, state: 'idle' | 'waiting'): RawPeer =>
    bench.client(slot, state, {}, 0, (fd) => poller.add(fd, READABLE, { onReady: () => seen.push(state) })).peer
  const peers = [watched(2, 'idle'), watched(3, 'waiting')]
  bench.commit()
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept', 'kept'])
  assert.deepEqual(
    bench.adoption.takeAdopted().resting.map(({ slot, key }) => [slot, key]),
    [[2, 0]],
  )
  for (const peer of peers) peer.send('a query')
  poller.dispatch(poller.wait(1000))
  assert.deepEqual(seen, ['idle'])
})

test('what was written for one that wants nothing, and may not have left, is looked for', (t) => {
  const bench = new AdoptionBench(t)
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
    const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
  const { fd } = bench.client(2, 'idle', { written: 16, outbox: 'parked;' })
  new RawPeer(fd).send('parked;he')
  bench.read.write('held back', READ_HEADROOM)
  bench.log.noteSend(0, slotMark(bench.clients, 2), READ_AT + READ_HEADROOM, 9)
  bench.commit(1)
  assert.deepEqual(reasons(bench.adoption.complete()), ['kept'])
  assert.equal(bench.waiting(2, CLIENT.outboxHandle, CLIENT.outboxBytes), 'ld back')
  assert.equal(bench.clients.f64[2 * (WORDS >> 1) + CLIENT_F64.bytesWritten], 9)
})

test('over a Unix socket, which keeps no count, what the plane has counted itself counts, unless it died in the middle of a call', (t) => {
  for (const [inProgress, isSending, outcome] of [
    [0, false, 'kept'],
    [3, false, 'kept'],
    [2, false, 'nobody knows how far it had come'],
    [0, true, 'nobody knows how far it had come'],
  ] as const) {
    const bench = new AdoptionBench(t, { inProgress, isUnix: true })
    bench.client(2, 'waiting', { read: 5 })
    bench.clients.f64[2 * (WORDS >> 1) + CLIENT_F64.bytesRead] = 5
    if (isSending) bench.log.noteSend(0, slotMark(bench.clients, 2), READ_AT + READ_HEADROOM, 9)
    bench.commit(isSending ? 1 : 0)
    if (isSending) bench.log.sending(true)
    assert.deepEqual(reasons(bench.adoption.complete()), [outcome])
  }
})

test('over a Unix socket, nobody knows who got what of reads for several that were not finished', (t) => {
  for (const [isReading, outcomes] of [
    [false, ['kept', 'kept']],
    [true, ['nobody knows how far it had come', 'kept']],
  ] as const) {
    const bench = new AdoptionBench(t, { isUnix: true })
    for (const slot of [2, 3]) {
      bench.client(slot, 'waiting', { read: 5 })
      bench.clients.f64[slot * (WORDS >> 1) + CLIENT_F64.bytesRead] = 5
    }
    bench.commit()
    bench.log.begin()
    bench.log.noteRead(0, slotMark(bench.clients, 2), 5)
    bench.log.reading(isReading)
    assert.deepEqual(reasons(bench.adoption.complete()), outcomes)
  }
})

test('a section that was not committed does not count', (t) => {
  const bench = new AdoptionBench(t)
  const { peer } = bench.client(1, 'idle')
  assert.deepEqual(reasons(bench.adoption.complete()), ['it was leaving'])
  assert.deepEqual(heard(peer), Buffer.alloc(0))
  assert.deepEqual(bench.gone, [{ slot: 1, generation: 9 }])
})

for (const state of ['login', 'closing'] as const) {
  test(`${state} in the first step of all, which does not count: what was read comes again`, (t) => {
    const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
  bench.first(2, 'login', { generation: 8 })
  bench.first(3, 'login', { flags: CLIENT_FLAG.tls })
  const { peer, fd } = bench.first(4, 'login')
  peer.send('startup')
  readAll(fd, 7)
  assert.deepEqual(reasons(bench.adoption.complete()), new Array(3).fill('its login was not over'))
})

test('a client goes on with its server connection, and not without it', (t) => {
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
  const { peer } = bench.client(0, 'active', { peer: 3 })
  bench.server(3, 'active', { peer: 0, flags: SERVER_STEP.torn })
  peer.send(Buffer.alloc(30_000, 'Q'))
  bench.commit()
  bench.adoption.complete()
  assert.match(heard(peer).toString(), /57P01/)
})

test('buffers of those who are not gone on with are free again, and no slot refers to one', (t) => {
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
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
  const bench = new AdoptionBench(t)
  assert.deepEqual(bench.adoption.complete(), { servers: 0, keptServers: 0, serverReasons: {}, outcomes: [] })
})
