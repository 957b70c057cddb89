import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterSettings } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const rules = ['high', 'low'].map((tier) => ({ application: tier, tier }))
/** One server connection, which all have in turn. */
const changes = (parallel: string): RouterSettings => ({ tiers: { low: { parallel }, rules }, pool: { size: 1 } })

const bed = await Testbed.open({ routerOnly: true, settings: changes('off') })

async function reload(parallel: string): Promise<void> {
  bed.router.writeSettings(bed.settings(changes(parallel)))
  await bed.console.query('RELOAD')
}

const TABLE = 'wide_enough_for_workers'
const CHEAP =
  'SET LOCAL parallel_setup_cost = 0; SET LOCAL parallel_tuple_cost = 0; SET LOCAL min_parallel_table_scan_size = 0'

await bed.sql(`CREATE TABLE ${TABLE} AS SELECT i FROM generate_series(1, 20000) i`)
await bed.sql(`GRANT SELECT ON ${TABLE} TO PUBLIC`)
await bed.sql(`ALTER TABLE ${TABLE} SET (parallel_workers = 2)`)

const as = (tier: string): Promise<WireClient> => bed.open({ parameters: { application_name: tier } })

/** How many parallel workers a plan has, and how many of them the server started. */
async function workersOf(client: WireClient): Promise<{ planned: number; launched: number }> {
  await client.query(`BEGIN; ${CHEAP}`)
  const plan = rowsOf(await client.query(`EXPLAIN (ANALYZE, COSTS OFF) SELECT count(*) FROM ${TABLE}`)).join('\n')
  await client.query('COMMIT')
  const numberOf = (what: string): number => Number(new RegExp(`Workers ${what}: (\\d)`).exec(plan)?.[1])
  return { planned: numberOf('Planned'), launched: numberOf('Launched') }
}

const shown = async (client: WireClient): Promise<string | null> =>
  onlyValue(await client.query('SHOW max_parallel_workers'))

test('queries of a tier have no parallel workers, their plans are the same, and others on that server connection have them', async () => {
  const [low, high] = [await as('low'), await as('high')]
  for (let round = 0; round < 2; round++) {
    assert.deepEqual(await workersOf(low), { planned: 2, launched: 0 })
    await waitUntil('workers to be free', async () => (await workersOf(high)).launched > 0)
  }
  low.close()
  high.close()
})

test('what a client sets itself counts, for itself alone', async () => {
  const [low, other, high] = [await as('low'), await as('low'), await as('high')]
  await low.query('SET max_parallel_workers = 5')
  assert.deepEqual([await shown(other), await shown(low), await shown(high)], ['0', '5', '8'])
  await low.query('RESET max_parallel_workers')
  assert.deepEqual([await shown(high), await shown(low), await shown(other)], ['8', '0', '0'])
  for (const client of [low, other, high]) client.close()
})

for (const change of [
  'RESET ALL',
  'DISCARD ALL',
  'BEGIN; SET max_parallel_workers = 5; ROLLBACK',
  'BEGIN; SET max_parallel_workers = 5; SELECT 1/0',
]) {
  test(`after ${change} of one, it is as the tier of each has it`, async () => {
    const [low, high] = [await as('low'), await as('high')]
    assert.equal(await shown(low), '0')
    const failed = sqlstatesOf(await low.query(change)).length > 0
    if (failed) await low.query('ROLLBACK')
    assert.deepEqual([await shown(high), await shown(low), await shown(high)], ['8', '0', '8'])
    low.close()
    high.close()
  })
}

test('it is the tier’s and not the session’s, whatever the server is asked about the session', async () => {
  const low = await as('low')
  assert.equal(await shown(low), '0')
  // What is true after that, the server is asked.
  await low.query(`BEGIN; SET work_mem = '5MB'; SAVEPOINT a; SET work_mem = '6MB'; ROLLBACK TO a; COMMIT`)
  await low.query('BEGIN; SET max_parallel_workers = 5; ROLLBACK')
  await reload('on')
  await waitUntil('the tier to have workers', async () => (await shown(low)) === '8')
  assert.equal(onlyValue(await low.query('SHOW work_mem')), '5MB')
  await reload('off')
  await waitUntil('the tier to have none', async () => (await shown(low)) === '0')
  low.close()
})

test('who goes on in another plane has what its tier has', async () => {
  const router = await bed.startRouter(changes('off'))
  const [low, high] = await Promise.all(
    ['low', 'high'].map((tier) => WireClient.open(router, { ...bed.login, parameters: { application_name: tier } })),
  )
  if (low === undefined || high === undefined) throw new Error('no clients')
  assert.equal(await shown(low), '0')
  await killPlane(router)
  assert.deepEqual([await shown(high), await shown(low)], ['8', '0'])
  low.close()
  high.close()
})
