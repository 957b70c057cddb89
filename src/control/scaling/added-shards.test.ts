import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type AddedShard, nextName } from './added-shard.ts'
import { AddedShards } from './added-shards.ts'

const HOUR = 3_600_000

function open(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-added-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const ignored: string[] = []
  return { directory, ignored, shards: () => new AddedShards(directory, (reason) => ignored.push(reason)) }
}

function shard(name: string, changes: Partial<AddedShard> = {}): AddedShard {
  const facts = {
    driver: 'local',
    state: 'creating',
    place: null,
    maxConnections: 80,
    slots: null,
    zone: null,
  } as const
  return {
    name,
    group: 'main',
    pool: null,
    ...facts,
    operation: `${name}-1`,
    begunAt: 100 * HOUR,
    servingAt: 0,
    ...changes,
  }
}

test('what was added outlives the process, with all that was said of it', (t) => {
  const { shards, ignored } = open(t)
  const before = shards()
  before.put(shard('db3'))
  before.place('db3', { host: '127.0.0.1', port: 5433, dataDirectory: '/data' })
  before.move('db3', 'serving')
  before.noteReady(7000)
  before.keepUnit('main', { failures: 1, regrets: 2, fullAt: 0.5, lastOutAt: 1, lastInAt: 2, failedAt: 3 })
  const after = shards()
  assert.deepEqual(after.all, before.all)
  assert.equal(after.get('db3')?.place?.port, 5433)
  assert.deepEqual([after.readyMs, after.unit('main')?.regrets, after.unit('other')], [7000, 2, null])
  assert.deepEqual(ignored, [])
})

test('a shard goes from creating to serving to leaving, and not back', (t) => {
  const shards = open(t).shards()
  shards.put(shard('db3'))
  shards.move('db3', 'creating')
  shards.move('db3', 'serving')
  assert.throws(() => shards.move('db3', 'creating'), /creating while serving/)
  shards.move('db3', 'leaving')
  shards.move('db3', 'leaving')
  assert.throws(() => shards.move('db3', 'serving'), /serving while leaving/)
  assert.throws(() => shards.move('db4', 'serving'), /no added shard db4/)
})

test('hours are counted for a day, of those that live and of those that are gone', (t) => {
  const shards = open(t).shards()
  shards.put(shard('db3'))
  assert.equal(shards.spentHours(102 * HOUR), 2)
  shards.forget('db3', 103 * HOUR)
  shards.put(shard('db4', { begunAt: 110 * HOUR }))
  assert.equal(shards.spentHours(114 * HOUR), 3 + 4)
  assert.equal(shards.spentHours(126 * HOUR), 1 + 16)
  assert.equal(shards.spentHours(200 * HOUR), 24)
})

test('a file that is something else is begun anew, and said so', (t) => {
  const { directory, shards, ignored } = open(t)
  for (const text of ['{', '[]', '{"shards":1,"ended":[]}']) {
    writeFileSync(join(directory, 'scaling.json'), text)
    assert.deepEqual(shards().all, [])
  }
  assert.equal(ignored.length, 3)
})

test('the next name is the primary’s with the lowest number that is free', () => {
  assert.equal(nextName('shard-1', new Set(['shard-1', 'shard-2', 'shard-4'])), 'shard-3')
  assert.equal(nextName('shard-2', new Set(['shard-2', 'shard-3'])), 'shard-4')
  assert.equal(nextName('orders', new Set(['orders'])), 'orders-2')
  assert.equal(nextName('db10', new Set(['db10'])), 'db2')
})
