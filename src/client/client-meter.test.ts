import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_F64 } from '../memory/client-slots.ts'
import { CLIENT_SLOT_BYTES, POOL_RECORD_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { histogramBucket, POOL_F64, POOL_HISTOGRAM } from '../memory/pool-records.ts'
import { Region } from '../memory/region.ts'
import { SERVER_F64 } from '../memory/server-slots.ts'
import { ClientMeter } from './client-meter.ts'

const region = (bytes: number): Region => new Region(new ArrayBuffer(bytes * 3), 0, bytes, 3)

/** A client in slot 1, served by the server in slot 2, in pool 1 when it has one. */
function open({ pool = true } = {}) {
  const host = {
    clients: region(CLIENT_SLOT_BYTES),
    pools: region(POOL_RECORD_BYTES),
    servers: region(SERVER_SLOT_BYTES),
    now: 1000,
  }
  const meter = new ClientMeter(host, 1, false)
  if (pool) meter.usePool(1)
  return {
    host,
    meter,
    client: (field: keyof typeof CLIENT_F64) => host.clients.f64[CLIENT_SLOT_BYTES / 8 + CLIENT_F64[field]],
    ofPool: (field: keyof typeof POOL_F64) => host.pools.f64[POOL_RECORD_BYTES / 8 + POOL_F64[field]],
    server: (field: keyof typeof SERVER_F64) => host.servers.f64[(2 * SERVER_SLOT_BYTES) / 8 + SERVER_F64[field]],
    bucket: (histogram: keyof typeof POOL_HISTOGRAM, milliseconds: number) =>
      host.pools.f64[POOL_RECORD_BYTES / 8 + POOL_HISTOGRAM[histogram] + histogramBucket(milliseconds)],
  }
}

test('a client is connected from now on', () => {
  assert.equal(open().client('connectedAt'), 1000)
})

test('a query in a transaction of its own counts once, in client, server and pool, with its time', () => {
  const { host, meter, client, ofPool, server, bucket } = open()
  meter.requestBegins()
  host.now += 12
  meter.answered(2)
  meter.transactionEnds(2)
  assert.deepEqual([client('queries'), server('queries'), ofPool('queries'), ofPool('queryMs')], [1, 1, 1, 12])
  assert.deepEqual(
    [client('transactions'), server('transactions'), ofPool('transactions'), ofPool('transactionMs')],
    [1, 1, 1, 12],
  )
  assert.deepEqual([bucket('query', 12), bucket('transaction', 12)], [1, 1])
  assert.deepEqual([client('queryAt'), client('transactionAt')], [0, 0])
})

test('the time of a transaction runs from its first query to its end, that of a query from its own first request', () => {
  const { host, meter, ofPool, client } = open()
  meter.requestBegins()
  host.now += 10
  meter.answered(2)
  host.now += 100
  meter.requestBegins()
  host.now += 1
  // More of the same query, such as Bind and Execute after Parse.
  meter.requestBegins()
  assert.equal(client('requestAt'), host.now)
  host.now += 4
  meter.answered(2)
  meter.transactionEnds(2)
  assert.deepEqual([ofPool('queries'), ofPool('queryMs')], [2, 15])
  assert.deepEqual([ofPool('transactions'), ofPool('transactionMs')], [1, 115])
})

test('the time in the queue is wait time, and neither query nor transaction time', () => {
  const { host, meter, client, ofPool, bucket } = open()
  meter.requestBegins()
  meter.waitBegins()
  assert.equal(client('waitingSince'), 1000)
  host.now += 500
  meter.waitEnds()
  host.now += 20
  meter.answered(2)
  meter.transactionEnds(2)
  assert.deepEqual([ofPool('waits'), ofPool('waitMs'), bucket('wait', 500)], [1, 500, 1])
  assert.deepEqual([ofPool('queryMs'), ofPool('transactionMs'), client('waitingSince')], [20, 20, 0])
})

test('a wait that another process has begun goes on for the same request, and for no other', () => {
  const { host, client } = open()
  const f = CLIENT_SLOT_BYTES / 8 + CLIENT_F64.waitingSince
  const resume = () => {
    host.clients.f64[f] = 700
    return new ClientMeter(host, 1, true)
  }
  const waiting = resume()
  assert.deepEqual([client('waitingSince'), waiting.waitBegins(), client('waitingSince')], [0, 700, 700])
  assert.equal(waiting.waitEnds(), 300)
  assert.deepEqual([waiting.waitBegins(), waiting.waitingSince], [0, 1000])
  const served = resume()
  served.usePool(1)
  served.assigned()
  assert.equal(served.waitBegins(), 0)
  const refused = resume()
  refused.abandoned()
  assert.equal(refused.waitBegins(), 0)
})

test('who did not wait has no wait to end', () => {
  const { meter, ofPool, client } = open()
  meter.requestBegins()
  meter.waitEnds()
  assert.deepEqual([ofPool('waits'), client('queryAt')], [0, 1000])
})

test('bytes since the last transaction belong to the pool of this one, once', () => {
  const { host, meter, ofPool } = open()
  const at = CLIENT_SLOT_BYTES / 8
  const move = (read: number, written: number): void => {
    host.clients.f64[at + CLIENT_F64.bytesRead] = read
    host.clients.f64[at + CLIENT_F64.bytesWritten] = written
  }
  move(100, 1000)
  meter.transactionEnds(2)
  assert.deepEqual([ofPool('bytesReceived'), ofPool('bytesSent')], [100, 1000])
  meter.transactionEnds(2)
  move(130, 1050)
  meter.transactionEnds(2)
  assert.deepEqual([ofPool('bytesReceived'), ofPool('bytesSent')], [130, 1050])
})

test('a request that no server answers leaves no clock running', () => {
  const { host, meter, client, ofPool } = open()
  meter.requestBegins()
  meter.waitBegins()
  host.now += 50
  meter.abandoned()
  assert.deepEqual([client('queryAt'), client('transactionAt'), client('waitingSince')], [0, 0, 0])
  assert.deepEqual([ofPool('queries'), ofPool('waits')], [0, 0])
})

test('errors and waits in vain are counted', () => {
  const { meter, ofPool } = open()
  meter.error()
  meter.error()
  meter.waitTimedOut()
  assert.deepEqual([ofPool('errors'), ofPool('waitTimeouts')], [2, 1])
})

test('since when a client is pinned is known while it is, from the first reason on', () => {
  const { host, meter, client } = open()
  meter.pinned(true)
  host.now += 5
  meter.pinned(true)
  assert.equal(client('pinnedAt'), 1000)
  meter.pinned(false)
  assert.equal(client('pinnedAt'), 0)
  meter.pinned(true)
  assert.equal(client('pinnedAt'), 1005)
})

test('before there is a pool, client and server are counted and no record is touched', () => {
  const { host, meter, client, server } = open({ pool: false })
  meter.requestBegins()
  meter.waitBegins()
  host.now += 5
  meter.waitEnds()
  meter.error()
  meter.answered(2)
  meter.transactionEnds(2)
  assert.deepEqual([client('queries'), server('queries'), client('transactions')], [1, 1, 1])
  assert.ok(host.pools.f64.every((value) => value === 0))
})

test('nothing is written into the slots of others', () => {
  const { host, meter } = open()
  meter.requestBegins()
  meter.answered(2)
  meter.transactionEnds(2)
  const others = [
    host.clients.f64.subarray(0, CLIENT_SLOT_BYTES / 8),
    host.clients.f64.subarray((2 * CLIENT_SLOT_BYTES) / 8),
    host.servers.f64.subarray(0, (2 * SERVER_SLOT_BYTES) / 8),
    host.pools.f64.subarray(0, POOL_RECORD_BYTES / 8),
    host.pools.f64.subarray((2 * POOL_RECORD_BYTES) / 8),
  ]
  assert.ok(others.every((part) => part.every((value) => value === 0)))
})
