import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Shard } from '../../shard/topology.ts'
import { topologyTroubles } from './topology-troubles.ts'

let nextId = 0
function shard(name: string, role: Shard['role'], up: boolean, group = 'main'): Shard {
  nextId++
  return {
    id: nextId,
    name,
    group,
    host: 'h',
    address: 'h',
    port: 1,
    role,
    up,
    maxConnections: 1,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up',
    adjustment: null,
  }
}

const troubles = (...shards: readonly Shard[]) => topologyTroubles({ version: 1, shards })

test('one primary that is up in each group is no trouble, replicas may be down', () => {
  assert.deepEqual(
    troubles(shard('a', 'primary', true), shard('b', 'replica', false), shard('c', 'primary', true, 'eu')),
    [],
  )
})

test('each group that cannot write, or has two primaries, has its sentence', () => {
  assert.deepEqual(
    troubles(
      shard('a', 'primary', true),
      shard('b', 'primary', true),
      shard('c', 'primary', false, 'eu'),
      shard('d', 'replica', true, 'eu'),
      shard('e', 'unknown', false, 'us'),
    ),
    ['group main has more than one primary: a, b', 'group eu has no primary that is up', 'no shard of group us is up'],
  )
})
