import assert from 'node:assert/strict'
import { test } from 'node:test'
import { freezeServer } from '../support/frozen-server.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

/** Nothing in this file comes of the timeout: what is found out is found out before. */
const bed = await Testbed.open({
  routerOnly: true,
  replicas: 1,
  settings: ({ cluster }) => {
    const { primary, replicas } = cluster.coordinates
    return {
      shards: [
        { name: 'west', ...primary },
        { name: 'east', ...replicas[0]! },
      ],
      monitor: { timeout: '60s', interval: '200ms', load_interval: '200ms' },
      routing: { reads: 'replicas', slow_start: 0 },
      tiers: { medium: { pools: ['replicas'] } },
    }
  },
})

async function shard(name: string): Promise<Record<string, unknown>> {
  const found = (await bed.show('SHARDS')).find((row) => row.name === name)
  assert.ok(found)
  return found
}

const healthOf = async (name: string): Promise<unknown> => (await shard(name)).health

async function readsRunOn(name: string): Promise<boolean> {
  const client = await bed.open()
  const before = Number((await shard(name)).xact_count)
  await client.query('SELECT 1')
  await client.close()
  return Number((await shard(name)).xact_count) > before
}

test('SHOW SHARDS and metrics tell what servers say of their load', async () => {
  const client = await bed.open()
  // Committed before the sleep: a replica gets what is flushed.
  await client.query('CREATE TABLE work AS SELECT n FROM generate_series(1, 1000) n')
  client.send(wire.query('SELECT pg_sleep(60)'))
  await waitUntil('the sleeper to be seen', async () => Number((await shard('west')).pg_active) >= 1)
  const west = await shard('west')
  assert.equal(west.health, 'up')
  assert.equal(west.pg_max_connections, 297)
  assert.ok(Number(west.pg_connections) >= 2, String(west.pg_connections))
  assert.ok(Number(west.answer_ms) > 0)
  await waitUntil('rates', async () => Number((await shard('west')).xact_per_s) > 0)
  await waitUntil('the replica to have caught up', async () => {
    const { lag_bytes: bytes, lag_ms: ms } = await shard('east')
    return bytes === '0' && ms === '0'
  })
  const page = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
  const patterns = [
    /^switchyard_shard_active_sessions\{shard="west",wait="other"\} 1$/m,
    /^switchyard_shard_health\{shard="east",health="up"\} 1$/m,
    /^switchyard_shard_lag_bytes\{shard="east"\} \d+$/m,
    /^switchyard_shard_pg_file_reads_total\{shard="west"\} \d+$/m,
  ]
  for (const pattern of patterns) assert.ok(pattern.test(page), String(pattern))
})

test('a replica that stops answering gets no reads any more, and gets them again when it has proved itself', async (t) => {
  await waitUntil('reads to run on the replica', () => readsRunOn('east'))
  const frozenAt = performance.now()
  const goOn = freezeServer(bed.cluster.postmasters[1]!)
  try {
    await waitUntil('the replica to be suspect', async () => (await healthOf('east')) === 'suspect')
    t.diagnostic(`suspect after ${Math.round(performance.now() - frozenAt)} ms`)
    const client = await bed.open()
    assert.equal(onlyValue(await client.query('SELECT 42')), '42')
    const [line] = (await bed.console.query('EXPLAIN ROUTE SELECT 1')).rows.filter(({ tier }) => tier === 'medium')
    assert.notEqual(line?.shard, 'east')
    assert.match(String((await shard('east')).reason), /^no answer for 500 ms/)
  } finally {
    goOn()
  }
  await waitUntil('the replica to be up', async () => (await healthOf('east')) === 'up')
  await waitUntil('reads to run there again', () => readsRunOn('east'))
  const events = (await bed.show('EVENTS')).filter(({ shard: about, kind }) => about === 'east' && kind === 'health')
  assert.deepEqual(
    events.map(({ event }) => event),
    ['east is up again', 'east is suspect', 'east is up'],
  )
})

test('a primary that stops answering is suspect, and waited for', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE patient (n int)')
  const goOn = freezeServer(bed.cluster.postmasters[0]!)
  try {
    await waitUntil('the primary to be suspect', async () => (await healthOf('west')) === 'suspect')
    assert.equal((await shard('west')).up, true)
    client.send(wire.query('INSERT INTO patient VALUES (1)'))
    assert.ok(await client.staysSilent(200))
  } finally {
    goOn()
  }
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  await waitUntil('the primary to be up', async () => (await healthOf('west')) === 'up')
})
