import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { ReadLoad } from '../support/read-load.ts'
import { waitUntil } from '../support/wait-until.ts'

const SLOTS = 4
const rules = ['high', 'low'].map((tier) => ({ application: tier, tier }))
const SETTINGS = {
  operations: { drain: '3s' },
  routing: { reads: 'replicas', slow_start: 0 },
  adjust: { patience: '500ms' },
  tiers: { rules },
  // High stays on the primary: to the plan alone a replica is nothing for it.
  scaling: { mode: 'auto', max_shards: 2, high: '1ms', medium: 0, sustain: '1s', cooldown_out: 0, cooldown_in: '1m' },
}
const bed = await ContinuityBed.open(SETTINGS, 0, { slots: SLOTS })

const as = (tier: string) => ({ ...bed.login, parameters: { application_name: tier } })
const events = async (kind: string): Promise<readonly string[]> =>
  (await bed.console.query('SHOW EVENTS')).rows
    .filter((row) => row.kind === kind)
    .map(({ event, reason }) => `${event}: ${reason}`)

test('a shard on which lower tiers have nothing left to give gets another one, to which their reads go', async () => {
  const low = await ReadLoad.start(bed.router, as('low'), { clients: 2 * SLOTS })
  const high = await ReadLoad.start(bed.router, as('high'), { clients: 3 * SLOTS, sql: 'SELECT pg_sleep(0.005)' })
  await waitUntil('a shard more', async () => (await bed.shown()).length === 2, { timeoutMs: 60_000 })
  await waitUntil('reads of the low tier to run there', async () => {
    const { rows } = await bed.console.query('SHOW SLOTS')
    return rows.some(({ shard, tier, admitted }) => shard === 'shard-2' && tier === 'low' && Number(admitted) > 20)
  })
  const reports = [await low.stop(), await high.stop()]
  assert.deepEqual(
    reports.flatMap(({ errors }) => errors),
    [],
  )
  const adjusted = await events('adjustment')
  assert.ok(adjusted.some((text) => /^shard-1 needs a further shard beside it: tier high waits/.test(text)))
  const scaled = await events('scaling')
  const why = /^a shard is added to main: lower tiers have nothing left to give on shard-1: tier high waits \d/
  assert.ok(scaled.some((text) => why.test(text)))
})
