import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseConfig } from '../../config/load-config.ts'
import type { AddedShard } from './added-shard.ts'
import { withAddedShards } from './with-added-shards.ts'

const CONFIG = parseConfig(
  `[[shards]]
  name = "db1"
  host = "10.0.0.1"
  [[shards]]
  name = "db2"
  host = "10.0.0.2"
  [[shard_pools]]
  name = "reports"
  shards = ["db2"]
  [[shard_pools]]
  name = "any"
  [monitor]
  user = "m"
  [[users]]
  name = "app"
  password = "secret"`,
  { file: 'a.toml', directory: '/', environment: {} },
)

function added(changes: Partial<AddedShard> = {}): AddedShard {
  const place = { host: '10.0.0.3', port: 5432, dataDirectory: null }
  const facts = { driver: 'exec', state: 'serving', maxConnections: 70, slots: 8, zone: 'a', begunAt: 1 } as const
  return { name: 'db3', group: 'main', pool: null, place, operation: 'x', servingAt: 2, ...facts, ...changes }
}

test('one that serves is a shard like any other, in the pool that it was added to', () => {
  const config = withAddedShards(CONFIG, [added({ pool: 'reports' })])
  assert.deepEqual(config.shards.at(-1), {
    ...{ name: 'db3', host: '10.0.0.3', port: 5432, group: 'main' },
    ...{ dataDirectory: null, maxConnections: 70, slots: 8, zone: 'a' },
  })
  assert.deepEqual(Object.keys(config.shards.at(-1)!).sort(), Object.keys(CONFIG.shards[0]!).sort())
  assert.deepEqual(
    config.shardPools.map(({ shards }) => shards),
    [['db2', 'db3'], []],
  )
})

test('others are left out: those on their way, and those whose name, place or group is not theirs', () => {
  for (const changes of [
    { state: 'creating' },
    { state: 'leaving' },
    { name: 'db2' },
    { group: 'gone' },
    { place: { host: '10.0.0.2', port: 5432, dataDirectory: null } },
  ] as const) {
    assert.equal(withAddedShards(CONFIG, [added(changes)]), CONFIG)
  }
})
