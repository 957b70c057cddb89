import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { SERVER } from '../memory/server-slots.ts'
import { AbandonedWork } from './abandoned-work.ts'
import { openPlane, type TestPlane } from './plane.fixture.ts'
import { ValueSweep } from './value-sweep.ts'

/** Pids of backends that were asked to cancel what they do, in turn. */
function cancelled({ shard }: TestPlane): readonly number[] {
  return shard.backends.flatMap(({ cancelled }) => (cancelled === null ? [] : [cancelled.pid]))
}

/** A plane that has cancelled for the first time what a client has left behind, at the backend 1000. */
function abandon(t: TestContext): TestPlane {
  const test = openPlane(t)
  const client = test.connect().login()
  test.shard.onQuery = () => {}
  client.query('select pg_sleep(60)')
  test.plane.sessions.at(0)?.close('killed', null)
  test.settle()
  assert.deepEqual(cancelled(test), [1000])
  return test
}

test('a plane that is over before it cancels for the second time has a successor that does it, now and after a second', (t) => {
  const test = abandon(t)
  const successor = new AbandonedWork(test.plane)
  successor.takeOver([])
  test.settle()
  assert.deepEqual(cancelled(test), [1000, 1000])
  // Once: nothing says so any more but what the successor has written itself.
  test.pass(1100)
  assert.deepEqual(cancelled(test), [1000, 1000, 1000, 1000])
  new AbandonedWork(test.plane).takeOver([])
  test.settle()
  assert.equal(cancelled(test).length, 4)
})

test('a connection that is there still, and may have another client, is not cancelled', (t) => {
  const test = abandon(t)
  const next = test.connect().login()
  test.shard.onQuery = (backend) => backend.ready()
  next.query('select 1')
  const server = [...test.plane.poolSet.all].flatMap((pool) => [...pool.servers])[0]
  assert.ok(server)
  server.identity = Object.assign(Object.create(server.identity), { backendPid: 1000 })
  new AbandonedWork(test.plane).takeOver([server])
  test.settle()
  assert.deepEqual(cancelled(test), [1000])
})

test('what a cancel request needs is not swept away', (t) => {
  const test = abandon(t)
  for (const pool of test.plane.poolSet.all) pool.kill('nobody else has its target')
  test.settle()
  new ValueSweep(test.plane, 0, test.log, () => {}).run(0)
  test.plane.store.put(Buffer.alloc(400_000))
  new AbandonedWork(test.plane).takeOver([])
  test.settle()
  assert.deepEqual(cancelled(test), [1000, 1000])
})

test('the slot where it is written down is free again after the second request', (t) => {
  const test = abandon(t)
  const { servers } = test.plane
  const noted = Array.from({ length: servers.count }, (_, slot) => slot).filter(
    (slot) => servers.i32[slot * (servers.recordBytes >> 2) + SERVER.abandoned] === 1,
  )
  assert.equal(noted.length, 1)
  test.pass(1100)
  const free = Array.from({ length: servers.count }, () => test.plane.serverSlots.take())
  assert.deepEqual([...new Set(free)].length, servers.count)
  assert.ok(!free.includes(-1))
  for (const slot of free) test.plane.serverSlots.release(slot)
})
