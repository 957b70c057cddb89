import assert from 'node:assert/strict'
import { test } from 'node:test'
import { tierCode } from '../shard/tier.ts'
import {
  CLIENT,
  CLIENT_F64,
  CLIENT_FLAG,
  CLIENT_STATE,
  CLIENT_STATE_NAMES,
  CLIENT_TEXT,
  PIN,
  pinReasons,
  readClient,
} from './client-slots.ts'
import { CLIENT_SLOT_BYTES, PLANE_RECORD_BYTES, POOL_RECORD_BYTES, SERVER_SLOT_BYTES } from './layout.ts'
import { PLANE, PLANE_F64, readPlane } from './plane-records.ts'
import { HISTOGRAM_BUCKETS, POOL, POOL_F64, POOL_HISTOGRAM, POOL_TEXT, readPool } from './pool-records.ts'
import { Region } from './region.ts'
import { readServer, SERVER, SERVER_F64, SERVER_FLAG, SERVER_STATE, SERVER_TEXT } from './server-slots.ts'

type Fields = Readonly<Record<string, number>>
type Texts = Readonly<Record<string, { readonly offset: number; readonly capacity: number }>>

const regionOf = (recordBytes: number): Region => new Region(new ArrayBuffer(3 * recordBytes), 0, recordBytes, 3)

/** Gives every field of record 1 a value of its own: its index, and for f64 a half more. */
function fillFields(region: Region, i32: Fields, f64: Fields): void {
  const record = 1
  for (const field of Object.values(i32)) region.i32[record * (region.recordBytes >> 2) + field] = 100 + field
  for (const field of Object.values(f64)) region.f64[record * (region.recordBytes >> 3) + field] = field + 0.5
}

function set(region: Region, field: number, value: number): void {
  region.i32[(region.recordBytes >> 2) + field] = value
}

/** Byte ranges of all fields of a record, which may not overlap or leave it. */
function assertApart(recordBytes: number, i32: Fields, f64: Fields, texts: Texts, runs: Fields = {}): void {
  const ranges = [
    ...Object.entries(i32).map(([name, index]) => ({ name, start: index * 4, end: index * 4 + 4 })),
    ...Object.entries(f64).map(([name, index]) => ({ name, start: index * 8, end: index * 8 + 8 })),
    ...Object.entries(texts).map(([name, { offset, capacity }]) => ({ name, start: offset, end: offset + capacity })),
    ...Object.entries(runs).map(([name, index]) => ({ name, start: index * 8, end: (index + HISTOGRAM_BUCKETS) * 8 })),
  ].sort((one, other) => one.start - other.start)
  for (const [at, { name, start, end }] of ranges.entries()) {
    const next = ranges[at + 1]
    assert.ok(
      start >= 0 && end <= (next?.start ?? recordBytes),
      `${name} ends at ${end}, in ${next?.name ?? 'nothing'}`,
    )
  }
}

test('no field of a slot or record overlaps another or its end', () => {
  assertApart(CLIENT_SLOT_BYTES, CLIENT, CLIENT_F64, CLIENT_TEXT)
  assertApart(SERVER_SLOT_BYTES, SERVER, SERVER_F64, SERVER_TEXT)
  assertApart(POOL_RECORD_BYTES, POOL, POOL_F64, POOL_TEXT, POOL_HISTOGRAM)
  assertApart(PLANE_RECORD_BYTES, PLANE, PLANE_F64, {})
})

test('texts are no longer than their length byte can say', () => {
  const stored = [
    CLIENT_TEXT.address,
    CLIENT_TEXT.user,
    CLIENT_TEXT.database,
    CLIENT_TEXT.applicationName,
    CLIENT_TEXT.tls,
  ]
  for (const { capacity } of [...stored, SERVER_TEXT.address, SERVER_TEXT.tls, SERVER_TEXT.serverVersion]) {
    assert.ok(capacity <= 256)
  }
  for (const { capacity } of Object.values(POOL_TEXT)) assert.ok(capacity <= 256)
})

test('a client slot is read as it was written', () => {
  const region = regionOf(CLIENT_SLOT_BYTES)
  fillFields(region, CLIENT, CLIENT_F64)
  set(region, CLIENT.state, CLIENT_STATE.active)
  set(region, CLIENT.server, 8)
  set(region, CLIENT.pool, 1)
  set(region, CLIENT.transactionStatus, 'T'.charCodeAt(0))
  set(region, CLIENT.flags, CLIENT_FLAG.tls | CLIENT_FLAG.unix)
  set(region, CLIENT.pins, PIN.listen | PIN.setting)
  set(region, CLIENT.tier, tierCode('low'))
  for (const name of ['address', 'user', 'database', 'applicationName', 'tls'] as const) {
    region.writeText(1, CLIENT_TEXT[name].offset, CLIENT_TEXT[name].capacity, `the ${name}`)
  }
  assert.deepEqual(readClient(region, 1), {
    slot: 1,
    state: 'active',
    plane: 100 + CLIENT.plane,
    server: 7,
    pool: 0,
    pins: ['setting', 'listen'],
    tls: 'the tls',
    unix: true,
    console: false,
    address: 'the address',
    remotePort: 100 + CLIENT.remotePort,
    localPort: 100 + CLIENT.localPort,
    user: 'the user',
    database: 'the database',
    applicationName: 'the applicationName',
    tier: 'low',
    transactionStatus: 'T',
    outstanding: 100 + CLIENT.outstanding,
    preparedStatements: 100 + CLIENT.prepared,
    channels: 100 + CLIENT.channels,
    connectedAt: 16.5,
    requestAt: 17.5,
    waitingSince: 18.5,
    pinnedAt: 21.5,
    bytesRead: 22.5,
    bytesWritten: 23.5,
    transactions: 24.5,
    queries: 25.5,
    relocations: 100 + CLIENT.relocations,
  })
  assert.equal(readClient(region, 0), null)
  assert.equal(readClient(region, 2), null)
})

test('a client without server, pool, TLS or transaction shows none', () => {
  const region = regionOf(CLIENT_SLOT_BYTES)
  set(region, CLIENT.state, CLIENT_STATE.login)
  set(region, CLIENT.flags, CLIENT_FLAG.console)
  region.writeText(1, CLIENT_TEXT.tls.offset, CLIENT_TEXT.tls.capacity, 'left over')
  const view = readClient(region, 1)
  assert.ok(view)
  const { state, server, pool, tls, transactionStatus, pins, unix } = view
  assert.deepEqual([state, server, pool, tls, transactionStatus, pins, unix], ['login', null, null, '', '', [], false])
  assert.equal(view.console, true)
})

test('a slot of a state that is not known is free', () => {
  const clients = regionOf(CLIENT_SLOT_BYTES)
  const servers = regionOf(SERVER_SLOT_BYTES)
  for (const state of [0, 99, -1]) {
    set(clients, CLIENT.state, state)
    set(servers, SERVER.state, state)
    assert.equal(readClient(clients, 1), null)
    assert.equal(readServer(servers, 1), null)
  }
})

test('states are numbered as they are listed', () => {
  for (const [number, name] of CLIENT_STATE_NAMES.entries()) assert.equal(CLIENT_STATE[name], number)
  const servers = regionOf(SERVER_SLOT_BYTES)
  for (const [name, number] of Object.entries(SERVER_STATE)) {
    set(servers, SERVER.state, number)
    assert.equal(readServer(servers, 1)?.state ?? 'free', name)
  }
})

test('every pin has a bit of its own and its name', () => {
  const bits = Object.values(PIN)
  assert.equal(new Set(bits).size, bits.length)
  for (const [name, bit] of Object.entries(PIN)) assert.deepEqual(pinReasons(bit), [name])
  assert.deepEqual(pinReasons(0), [])
  assert.deepEqual(pinReasons(bits.reduce((all, bit) => all | bit)), Object.keys(PIN))
})

test('a server slot is read as it was written', () => {
  const region = regionOf(SERVER_SLOT_BYTES)
  fillFields(region, SERVER, SERVER_F64)
  set(region, SERVER.state, SERVER_STATE.idle)
  set(region, SERVER.client, 0)
  set(region, SERVER.pool, 4)
  set(region, SERVER.transactionStatus, 'I'.charCodeAt(0))
  set(region, SERVER.flags, SERVER_FLAG.tls)
  for (const name of ['address', 'tls', 'serverVersion'] as const) {
    region.writeText(1, SERVER_TEXT[name].offset, SERVER_TEXT[name].capacity, `the ${name}`)
  }
  const expected = {
    slot: 1,
    state: 'idle',
    plane: 100 + SERVER.plane,
    client: null,
    pool: 3,
    tls: 'the tls',
    address: 'the address',
    remotePort: 100 + SERVER.remotePort,
    localPort: 100 + SERVER.localPort,
    backendPid: 100 + SERVER.backendPid,
    serverVersion: 'the serverVersion',
    transactionStatus: 'I',
    outstanding: 100 + SERVER.outstanding,
    preparedStatements: 100 + SERVER.prepared,
    channels: 100 + SERVER.channels,
    listeners: 100 + SERVER.listeners,
    niceness: 100 + SERVER.niceness,
    notifications: SERVER_F64.notifications + 0.5,
    deliveries: SERVER_F64.deliveries + 0.5,
    connectedAt: 16.5,
    requestAt: 17.5,
    bytesRead: 22.5,
    bytesWritten: 23.5,
    transactions: 24.5,
    queries: 25.5,
  }
  assert.deepEqual(readServer(region, 1), expected)
  set(region, SERVER.client, 3)
  set(region, SERVER.flags, SERVER_FLAG.unix)
  set(region, SERVER.transactionStatus, 0)
  assert.deepEqual(readServer(region, 1), { ...expected, client: 2, tls: '', transactionStatus: '' })
  assert.equal(readServer(region, 0), null)
})

test('a pool record is read as it was written', () => {
  const region = regionOf(POOL_RECORD_BYTES)
  fillFields(region, POOL, POOL_F64)
  set(region, POOL.state, 1)
  set(region, POOL.mode, 1)
  set(region, POOL.paused, 1)
  for (const [name, { offset, capacity }] of Object.entries(POOL_TEXT))
    region.writeText(1, offset, capacity, `the ${name}`)
  const f = POOL_RECORD_BYTES >> 3
  for (const [at, start] of Object.values(POOL_HISTOGRAM).entries()) {
    for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) region.f64[f + start + bucket] = 1000 * at + bucket
  }
  const buckets = (at: number): number[] => Array.from({ length: HISTOGRAM_BUCKETS }, (_, bucket) => 1000 * at + bucket)
  const expected = {
    record: 1,
    plane: 100 + POOL.plane,
    shardId: 100 + POOL.shard,
    size: 100 + POOL.size,
    mode: 'session',
    paused: true,
    database: 'the database',
    user: 'the user',
    shard: 'the shard',
    serverDatabase: 'the serverDatabase',
    serverUser: 'the serverUser',
    totals: Object.fromEntries(Object.entries(POOL_F64).map(([name, field]) => [name, field + 0.5])),
    histograms: { wait: buckets(0), transaction: buckets(1), query: buckets(2) },
  }
  assert.deepEqual(readPool(region, 1), expected)
  set(region, POOL.mode, 0)
  set(region, POOL.paused, 0)
  assert.deepEqual(readPool(region, 1), { ...expected, mode: 'transaction', paused: false })
  assert.equal(readPool(region, 0), null)
})

test('a pool as read does not change when the record does', () => {
  const region = regionOf(POOL_RECORD_BYTES)
  set(region, POOL.state, 1)
  const view = readPool(region, 1)
  region.f64.fill(7)
  assert.equal(view?.histograms.wait[0], 0)
  assert.equal(view?.totals.queries, 0)
})

test('a plane record is read as it was written, and one that was never used is none', () => {
  const region = regionOf(PLANE_RECORD_BYTES)
  assert.equal(readPlane(region, 1), null)
  fillFields(region, PLANE, PLANE_F64)
  set(region, PLANE.draining, 1)
  const expected = {
    plane: 1,
    pid: 100 + PLANE.pid,
    valuesVersion: 100 + PLANE.valuesVersion,
    draining: true,
    totals: Object.fromEntries(Object.entries(PLANE_F64).map(([name, field]) => [name, field + 0.5])),
  }
  assert.deepEqual(readPlane(region, 1), expected)
  set(region, PLANE.draining, 0)
  assert.deepEqual(readPlane(region, 1), { ...expected, draining: false })
  assert.equal(readPlane(region, 0), null)
})
