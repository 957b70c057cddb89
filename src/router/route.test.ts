import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Shard, Topology } from '../shard/topology.ts'
import { routeToPrimary } from './route.ts'

function shard(id: number, changes: Partial<Shard> = {}): Shard {
  const name = `shard-${id}`
  const rest = {
    host: name,
    address: '10.0.0.1',
    port: 5432,
    up: true,
    maxConnections: 10,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up' as const,
    adjustment: null,
  }
  return { id, name, group: 'main', role: 'primary', ...rest, ...changes }
}

const topology = (...shards: Shard[]): Topology => ({ version: 1, shards })

function shardOf(among: Topology, group = 'main'): number | string {
  const route = routeToPrimary(among, group)
  return route.kind === 'shard' ? route.shard.id : route.reason
}

test('a transaction goes to the primary of its group, and the reason says so', () => {
  const among = topology(shard(0, { role: 'replica' }), shard(1, { group: 'other' }), shard(2))
  assert.deepEqual(routeToPrimary(among, 'main'), {
    kind: 'shard',
    shard: among.shards[2],
    reason: 'primary of group "main"',
  })
  assert.equal(shardOf(among, 'other'), 1)
})

test('of two that say they are the primary the one that is up is taken', () => {
  assert.equal(shardOf(topology(shard(0, { up: false }), shard(1))), 1)
  assert.equal(shardOf(topology(shard(0), shard(1, { up: false }))), 0)
})

test('a primary that is down is better than none: it may be up by now', () => {
  const route = routeToPrimary(topology(shard(0, { up: false }), shard(1, { role: 'replica' })), 'main')
  assert.equal(route.kind === 'shard' ? route.shard.id : null, 0)
  assert.equal(route.reason, 'last known primary of group "main", which is down')
})

test('without a primary that can be dialed the transaction is held', () => {
  const held = 'group "main" has no known primary'
  assert.equal(shardOf(topology()), held)
  assert.equal(shardOf(topology(shard(0, { role: 'replica' }))), held)
  assert.equal(shardOf(topology(shard(0, { role: 'unknown' }))), held)
  assert.equal(shardOf(topology(shard(0, { address: null }))), held)
  assert.equal(shardOf(topology(shard(0, { group: 'other' }))), held)
  assert.equal(routeToPrimary(topology(), 'main').kind, 'hold')
})
