import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { configText } from '../../config/config-text.fixture.ts'
import { parseConfig } from '../../config/load-config.ts'
import type { Shard } from '../../shard/topology.ts'
import { freezeShard } from '../failover/failover.fixture.ts'
import { AddedShards } from './added-shards.ts'
import { Scaling } from './scaling.ts'

const HEAD = `${configText('db1', 'db2')}[[shard_pools]]
name = "reports"
shards = ["db2"]
[[shard_pools]]
name = "writes"
shards = ["db1"]
role = "primary"
`
const EXEC = 'driver = "exec"\nprogram = "/bin/true"\n'
const SHARDS = [
  freezeShard({ id: 0, name: 'db1', role: 'primary', up: true }),
  freezeShard({ id: 1, name: 'db2', role: 'replica', up: true }),
]

function open(t: TestContext, keys = EXEC, shards: readonly Shard[] = SHARDS) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-scaling-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const config = parseConfig(`${HEAD}[scaling]\n${keys}`, { file: 'f', directory: '/', environment: {} })
  const added = new AddedShards(directory, () => {})
  const told: string[] = []
  const scaling = new Scaling({
    added,
    topology: () => ({ version: 1, shards }),
    config: () => config,
    onMembers: async () => void told.push('members'),
    onChange: (change, { name, state }) => told.push(`${change} ${name} ${state}`),
    busyOn: ({ id }) => id,
    environment: {},
    dataDirectory: directory,
    wallClock: () => 1_000_000,
    events: { publish: () => {} },
    onProgress: () => {},
  })
  return { scaling, added, told }
}

test('a shard goes to a group, or to a pool with names, under the next name', (t) => {
  const { scaling, added } = open(t)
  assert.deepEqual(scaling.choose('main'), { group: 'main', pool: null, shard: 'db3' })
  scaling.begin(scaling.choose('main'))
  assert.deepEqual(scaling.choose('reports'), { group: 'main', pool: 'reports', shard: 'db4' })
  const shard = added.get('db3')
  assert.deepEqual([shard?.state, shard?.operation, shard?.maxConnections], ['creating', 'db3-1000000', 10])
})

test('what cannot be is refused before anything is done', (t) => {
  const refused = (keys: string, target: string, sqlstate: string, shards?: readonly Shard[]): void => {
    assert.throws(() => open(t, keys, shards).scaling.choose(target), { sqlstate })
  }
  refused(EXEC, 'nothing', '42704')
  refused(EXEC, 'writes', '55000')
  refused(`${EXEC}max_shards = 2\n`, 'main', '55000')
  refused('', 'main', '0A000')
  refused(EXEC, 'main', '55000', [freezeShard({ id: 1, name: 'db2', role: 'replica', up: true })])
})

test('planes hear of a shard once it serves and once it leaves, and the plan of both', async (t) => {
  const { scaling, told } = open(t)
  scaling.begin({ group: 'main', pool: null, shard: 'db3' })
  await scaling.serve('db3')
  await scaling.serve('db3')
  await scaling.leave('db3')
  await scaling.leave('db3')
  assert.deepEqual(told, ['members', 'out db3 serving', 'members', 'members', 'in db3 leaving'])
})

test('one that was never served leaves quietly', async (t) => {
  const { scaling, told } = open(t)
  scaling.begin({ group: 'main', pool: null, shard: 'db3' })
  await scaling.leave('db3')
  assert.deepEqual(told, [])
})

test('the added one with the least to do is needed least, what is leaving before all', async (t) => {
  const { scaling, added } = open(t, EXEC, [
    ...SHARDS,
    freezeShard({ id: 7, name: 'db3', role: 'replica', up: true }),
    freezeShard({ id: 5, name: 'db4', role: 'replica', up: true }),
  ])
  assert.equal(scaling.leastNeeded(), null)
  for (const shard of ['db3', 'db4']) {
    scaling.begin({ group: 'main', pool: null, shard })
    added.move(shard, 'serving')
  }
  assert.equal(scaling.leastNeeded(), 'db4')
  scaling.begin({ group: 'main', pool: null, shard: 'db5' })
  assert.equal(scaling.leastNeeded(), 'db4')
  await scaling.leave('db5')
  assert.equal(scaling.leastNeeded(), 'db5')
})
