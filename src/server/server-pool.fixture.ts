import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { POOL_F64 } from '../memory/pool-records.ts'
import { NO_ADMISSION } from './pool-admission.ts'
import type { PoolQuota } from './pool-quota.ts'
import { openServerHost, type TestServerHost, TestWaiter } from './server-host.fixture.ts'
import { ServerPool } from './server-pool.ts'
import type { ServerTarget } from './server-target.ts'
import { ShardLane } from './shard-lane.ts'
import { TestShard } from './shard-peer.fixture.ts'

const NO_QUOTA: PoolQuota = { admit: () => true, released: () => {} }

/** A pool, its shard and the clients that want something of it. */
export interface PoolBench {
  readonly host: TestServerHost
  readonly shard: TestShard
  readonly pool: ServerPool
  /** Names of waiters as they were served. */
  readonly story: string[]
  /** A client that wants a server connection, and waits if there is none; whatever can happen then happens. */
  request(name: string): TestWaiter
}

/** One that is closed after the test, with every server slot and buffer free again. */
export function openPool(
  t: TestContext,
  { size = 2, minSize = 0, serverSlots = 16, quota = NO_QUOTA } = {},
): PoolBench {
  const host = openServerHost(t, serverSlots)
  const shard = new TestShard(host.poller)
  const target: ServerTarget = {
    shard: shard.value(),
    user: 'ada',
    database: 'shop',
    credential: { scram: null, password: null, md5Hash: null },
    startup: [],
  }
  const pool = new ServerPool(
    host,
    { quota, lane: new ShardLane(NO_ADMISSION) },
    { database: 'shop', user: 'ada', mode: 'transaction', target },
    { size, minSize },
    0,
  )
  const story: string[] = []
  t.after(() => {
    pool.pause()
    pool.kill('test is over')
    shard.close()
    assert.equal(host.freeSlots.length, serverSlots, 'every server slot is free again')
    assert.equal(host.arena.buffersInUse, 0)
  })
  const request = (name: string): TestWaiter => {
    const waiter = new TestWaiter(host, name, story)
    const server = pool.checkout(1)
    if (server === null) pool.wait(waiter)
    else waiter.onServer(server)
    host.settle()
    return waiter
  }
  return { host, shard, pool, story, request }
}

/** One of the totals in the pool's record. */
export const poolTotal = ({ host }: PoolBench, field: keyof typeof POOL_F64): number =>
  host.pools.f64[POOL_F64[field]] ?? -1
