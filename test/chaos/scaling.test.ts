import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { MixedLoad } from '../support/mixed-load.ts'
import { waitUntil } from '../support/wait-until.ts'

const SETTINGS = {
  operations: { drain: '3s' },
  routing: { reads: 'replicas', slow_start: '1s' },
  failover: { mode: 'local' },
  shard_pools: [{ name: 'reports', shards: ['shard-2'] }],
  tiers: { low: { pools: ['reports'] } },
}
const bed = await ContinuityBed.open(SETTINGS, 1)
await MixedLoad.prepare(bed.on('shard-1'))
const shardsDirectory = dirname(dirname(bed.shards[0]!.dataDirectory))

/** Runs `work` under load, and sees that no client got an error. */
async function unnoticed(work: () => Promise<void>): Promise<void> {
  const load = MixedLoad.start(bed.router, bed.login, { clients: 8, kinds: ['read', 'simple', 'read', 'transfer'] })
  await waitUntil('the load to run', () => load.operations > 50)
  await work()
  const before = load.operations
  await waitUntil('the load to go on', () => load.operations > before + 50)
  const { errors, dropped, wrong } = await load.stop()
  assert.deepEqual({ errors, dropped, wrong }, { errors: [], dropped: [], wrong: [] })
  const audit = await load.audit(bed.on(await bed.primary()))
  assert.deepEqual(audit, { lost: 0, doubled: 0, isBalanced: true })
}

const names = async (): Promise<readonly string[]> => (await bed.shown()).map(({ name }) => name)
const operation = async (): Promise<Record<string, unknown>> => (await bed.console.query('SHOW OPERATIONS')).rows[0]

/** Slots on the primary for shards that nobody has any more. */
async function slots(): Promise<readonly string[]> {
  const rows = await bed.on(await bed.primary())('SELECT slot_name AS name FROM pg_replication_slots ORDER BY 1')
  return rows.map(({ name }) => String(name))
}

test('SCALE OUT makes a replica that reads go to, and SCALE IN takes it away; no client notices', async () => {
  await unnoticed(async () => {
    const [told = ''] = await bed.command('SCALE OUT main')
    assert.match(told, /^Done in [\d.]+ s\.$/)
    assert.deepEqual(await names(), ['shard-1', 'shard-2', 'shard-3'])
    assert.deepEqual(await slots(), ['shard_2', 'shard_3'])
    const reads = async () => {
      const { rows } = await bed.console.query('SHOW SLOTS')
      return rows.filter(({ shard }) => shard === 'shard-3').reduce((sum, row) => sum + Number(row.admitted), 0)
    }
    await waitUntil('reads to go there', async () => (await reads()) > 20)
    await bed.command('SCALE IN')
  })
  assert.deepEqual(await names(), ['shard-1', 'shard-2'])
  assert.deepEqual(await slots(), ['shard_2'])
  assert.ok(!existsSync(join(shardsDirectory, 'shard-3')))
  const { state, operation: text } = await operation()
  assert.deepEqual([text, state], ['SCALE IN shard-3', 'done'])
})

test('a shard for a pool is in the pool, for the tiers that are sent there', async () => {
  await bed.command('SCALE OUT reports')
  const rows = (await bed.console.query('SHOW SCALING')).rows.map(({ group, pool }) => [group, pool])
  assert.deepEqual(rows, [
    ['main', null],
    ['main', 'reports'],
  ])
  const inPool = async (): Promise<string> => {
    const { rows: units } = await bed.console.query('SHOW SCALING')
    return units.map(({ shards, added }) => `${shards} ${added}`).join()
  }
  await waitUntil('both to have it', async () => (await inPool()) === '3 0,2 1')
  const { rows: routes } = await bed.console.query('EXPLAIN ROUTE SELECT 1')
  assert.ok(routes.some((row) => JSON.stringify(row).includes('shard-3')))
  await bed.command('SCALE IN shard-3')
  await waitUntil('neither to have it', async () => (await inPool()) === '2 0,1 0')
})
