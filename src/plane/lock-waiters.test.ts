import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT, CLIENT_F64 } from '../memory/client-slots.ts'
import { POOL } from '../memory/pool-records.ts'
import { Region } from '../memory/region.ts'
import { SERVER, SERVER_STATE } from '../memory/server-slots.ts'
import { mayWaitForLock } from './lock-waiters.ts'

const BYTES = 1024
const [HIGH, LOW] = [0, 2]
/** One query, on the server connection and of the client in these slots. */
const QUERY = { server: 3, client: 1, pool: 2, shard: 7, tier: HIGH, askedAt: 900, state: 'active' as const }

function isWaiting(query: Partial<Omit<typeof QUERY, 'state'> & { state: keyof typeof SERVER_STATE }>): boolean {
  const { server, client, pool, shard, tier, askedAt, state } = { ...QUERY, ...query }
  const region = (): Region => new Region(new ArrayBuffer(BYTES * 8), 0, BYTES, 8)
  const memory = { clients: region(), servers: region(), pools: region() }
  const at = (slot: number): number => slot * (BYTES >> 2)
  memory.servers.i32[at(server) + SERVER.state] = SERVER_STATE[state]
  memory.servers.i32[at(server) + SERVER.client] = client + 1
  memory.servers.i32[at(server) + SERVER.pool] = pool + 1
  memory.pools.i32[at(pool) + POOL.shard] = shard
  memory.clients.i32[at(client) + CLIENT.tier] = tier
  memory.clients.f64[at(client) / 2 + CLIENT_F64.queryAt] = askedAt
  return mayWaitForLock(memory, { shard: 7, isAhead: (each) => each < LOW, before: 980 })
}

test('a query of a higher tier that has no answer for long may wait for a lock', () => {
  assert.equal(isWaiting({}), true)
  assert.equal(isWaiting({ askedAt: 980 }), false, 'it is too young')
  assert.equal(isWaiting({ askedAt: 0 }), false, 'its transaction is idle')
  assert.equal(isWaiting({ tier: LOW }), false, 'it is no better')
  assert.equal(isWaiting({ shard: 8 }), false, 'it is on another shard')
  assert.equal(isWaiting({ state: 'idle' }), false, 'it has ended')
  assert.equal(isWaiting({ client: -1 }), false, 'nobody has it')
})
