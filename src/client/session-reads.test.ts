import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { openPlane, TEST_DATABASE } from '../plane/plane.fixture.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ClientHost } from './client-host.ts'
import { PoolChoice } from './pool-choice.ts'
import type { ReadRouting } from './read-routing.ts'
import type { SeatedSession } from './seated-session.ts'
import { SessionReads } from './session-reads.ts'

/** The reads of a session that is sent to a replica, where `mayWait` says whether a replica will do soon. */
function open(t: TestContext, mayWait: (since: number) => boolean = () => false) {
  const { plane } = openPlane(t)
  const choice = new PoolChoice(plane, {
    database: 'shop',
    entry: TEST_DATABASE,
    user: 'ada',
    userValue: null,
    credential: { scram: null, password: null, md5Hash: null },
  })
  const [primary] = plane.values.topology.shards
  assert.ok(primary !== undefined)
  const replica = { ...primary, id: 5, name: 'db5', role: 'replica' as const }
  const candidate = { shard: replica, isPrimary: false }
  const ended: number[] = []
  const readRouting = {
    choose: () => candidate,
    mayWait: (_choice: PoolChoice, _slot: number, _tier: number, _sawOn: number, since: number) => mayWait(since),
    transactionEnds: (_choice: PoolChoice, _slot: number, _wrote: boolean, shard: number) => void ended.push(shard),
  } as unknown as ReadRouting
  const host = { now: 1000, readRouting } as unknown as ClientHost & { now: number }
  const settings = { deferredBegin: null, transactionLost: false }
  const session = { slot: 0, memory: { tier: 1 }, settings, listening: null } as unknown as SeatedSession
  const server = { target: { shard: replica }, work: { attempt: null } } as unknown as ServerConnection
  const seat = { host, session, choice, server, lastShard: -1, giveUp: () => {} }
  return { reads: new SessionReads(seat), choice, host, ended }
}

test('a read goes to the replica that routing names, anything else to the primary', (t) => {
  const { reads, choice } = open(t)
  reads.begin(true)
  assert.deepEqual([reads.pool()?.target.shard.name, reads.isOnReplica], ['db5', true])
  reads.begin(false)
  assert.deepEqual([reads.pool(), reads.isOnReplica], [choice.current(), false])
})

test('what a replica could not answer is for the primary until the transaction is over', (t) => {
  const { reads, choice, ended } = open(t)
  reads.begin(true)
  assert.equal(reads.avoid(reads.pool()), true)
  assert.equal(reads.pool(), choice.current())
  assert.equal(reads.avoid(choice.current()), false, 'nobody else is left to ask')
  reads.transactionEnds()
  reads.begin(true)
  assert.deepEqual([reads.pool()?.target.shard.id, ended], [5, [5]])
})

test('a read that waits for a replica says since when, each time that it is asked again', (t) => {
  const asked: number[] = []
  const { reads, choice, host } = open(t, (since) => asked.push(since) < 3)
  reads.begin(true)
  for (host.now = 1000; reads.isBetterLater(choice.current()); host.now += 16) assert.equal(reads.wait(), true)
  assert.deepEqual(asked, [0, 1000, 1000])
  assert.equal(reads.wait(), false)
})

test('what is no read waits for no replica, although a read that was given up did', (t) => {
  const { reads, choice } = open(t, () => true)
  reads.begin(true)
  assert.deepEqual([reads.isBetterLater(choice.current()), reads.wait()], [true, true])
  reads.begin(false)
  assert.deepEqual([reads.isBetterLater(choice.current()), reads.wait()], [false, false])
})
