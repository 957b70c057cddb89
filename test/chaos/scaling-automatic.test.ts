import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { ReadLoad } from '../support/read-load.ts'
import { waitUntil } from '../support/wait-until.ts'

const SLOTS = 4
const SETTINGS = {
  operations: { drain: '3s' },
  routing: { reads: 'replicas', slow_start: '500ms' },
  scaling: {
    ...{ mode: 'auto', max_shards: 3, medium: '5ms', high: 0 },
    ...{ sustain: '1s', idle: '2s', cooldown_out: '1s', cooldown_in: '2s' },
  },
}
const bed = await ContinuityBed.open(SETTINGS, 1, { slots: SLOTS })

const scaling = async (): Promise<Record<string, string>> => (await bed.console.query('SHOW SCALING')).rows[0]
const names = async (): Promise<string> => (await bed.shown()).map(({ name }) => name).join()

test('a load that waits too long gets a shard by itself, and the shard goes when the load does', async () => {
  const load = await ReadLoad.start(bed.router, bed.login, { clients: 10 * SLOTS })
  await waitUntil('a shard more', async () => (await names()) === 'shard-1,shard-2,shard-3', { timeoutMs: 60_000 })
  await waitUntil('it to do its part', async () => {
    const { rows } = await bed.console.query('SHOW SLOTS')
    return rows.some(({ shard, tier, admitted }) => shard === 'shard-3' && tier === 'medium' && Number(admitted) > 50)
  })
  await waitUntil('the limit to be told', async () => /has 3 shards already/.test((await scaling()).reason!), {
    timeoutMs: 30_000,
  })
  const under = await load.stop()
  await waitUntil('the shard to go', async () => (await names()) === 'shard-1,shard-2', { timeoutMs: 60_000 })
  assert.deepEqual(under.errors, [])
  const { rows } = await bed.console.query('SHOW EVENTS')
  const told = rows.filter(({ kind }) => kind === 'scaling').map(({ event, reason }) => `${event}: ${reason}`)
  assert.ok(told.some((text) => /^a shard is added to main: medium waits \d+ ms at p99, 5 ms are wanted/.test(text)))
  assert.ok(told.some((text) => /^shard-3 is taken away from main: for 2 s the others/.test(text)))
  const operations = async () => (await bed.console.query('SHOW OPERATIONS')).rows
  await waitUntil('the end of it', async () => (await operations()).every(({ state }) => state === 'done'))
  assert.deepEqual(
    (await operations()).map(({ operation }) => operation),
    ['SCALE IN shard-3', 'SCALE OUT main'],
  )
})

test('metrics tell of added shards and of what is thought', async () => {
  await waitUntil('nothing to be wanted', async () => (await scaling()).verdict === 'none')
  const { host, httpPort } = bed.router
  const text = await (await fetch(`http://${host}:${httpPort}/metrics`)).text()
  assert.match(text, /^switchyard_added_shards\{state="serving"\} 0$/m)
  assert.match(text, /^switchyard_scaling_max_shards\{group="main",pool=""\} 3$/m)
  assert.match(text, /^switchyard_scaling_needs\{group="main",pool=""\} 0$/m)
})
