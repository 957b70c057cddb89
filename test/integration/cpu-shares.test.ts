import assert from 'node:assert/strict'
import { test } from 'node:test'
import { cpuMeans, HELD_SLICE_US } from '../../src/io/cpu-share.ts'
import { SHORTEST_SLICE_US, timeSliceOf } from '../../src/io/time-slice.ts'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { nicenessOf } from '../support/niceness.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { sqlstatesOf } from '../support/wire-message.ts'

const rules = ['medium', 'low'].map((tier) => ({ application: tier, tier }))
const bed = await ContinuityBed.open({ tiers: { low: { nice: 7 }, rules } }, 0)
const LONG = 'SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b'

const as = (tier: string): Promise<WireClient> => bed.open({ application_name: tier })

async function backendOf(mark: string): Promise<number> {
  return await waitUntil(`the backend of ${mark}`, async () => {
    const rows = await bed.on('shard-1')(
      `SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${mark}%' AND pid <> pg_backend_pid()`,
    )
    return Number(rows[0]?.pid ?? 0)
  })
}

test('a long read of a low tier gets less of the CPU on a server of this machine, and others on its connection do not', async (t) => {
  const [low, medium] = [await as('low'), await as('medium')]
  low.send(wire.query(`${LONG} /* low read */`))
  const pid = await backendOf('low read')
  if (['none', 'slice'].includes(cpuMeans(pid).kind)) {
    t.skip('nothing on this machine may change what a process gets of the CPU')
    return
  }
  await waitUntil('it to have less', () => nicenessOf(pid) === 7)
  const usual = timeSliceOf(0)
  if (usual !== null) await waitUntil('others to be let in before it', () => timeSliceOf(pid) === HELD_SLICE_US)
  medium.send(wire.query(`${LONG} /* medium read */`))
  const other = await backendOf('medium read')
  await waitUntil('the medium one to have run for a while', async () => {
    const rows = await bed.on('shard-1')(
      `SELECT 1 FROM pg_stat_activity WHERE pid = ${other} AND clock_timestamp() - query_start > '200ms'`,
    )
    return rows.length > 0
  })
  assert.equal(nicenessOf(other), 0)
  assert.equal(timeSliceOf(other), usual)
  await bed.on('shard-1')(`SELECT pg_cancel_backend(${pid}), pg_cancel_backend(${other})`)
  assert.deepEqual([sqlstatesOf(await low.until('Z')), sqlstatesOf(await medium.until('Z'))], [['57014'], ['57014']])
  await waitUntil('it to have its share again', () => nicenessOf(pid) === 0)
  assert.equal(timeSliceOf(pid), usual)
  low.close()
  medium.close()
})

test('parallel workers have less as well', async (t) => {
  const sql = bed.on('shard-1')
  await sql('CREATE TABLE wide AS SELECT i AS id, repeat($$x$$, 200) AS text FROM generate_series(1, 60000) i')
  await sql('ANALYZE wide')
  const low = await as('low')
  await low.query('SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0; SET min_parallel_table_scan_size = 0')
  low.send(wire.query('SELECT count(*) FROM wide a JOIN wide b ON a.text || a.id < b.text || b.id /* low parallel */'))
  const pid = await backendOf('low parallel')
  if (['none', 'slice'].includes(cpuMeans(pid).kind)) {
    t.skip('nothing on this machine may change what a process gets of the CPU')
    return
  }
  await waitUntil('its workers to have less', async () => {
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE leader_pid = ${pid}`)
    return rows.length > 0 && rows.every((row) => nicenessOf(Number(row.pid)) === 7)
  })
  await sql(`SELECT pg_cancel_backend(${pid})`)
  await low.until('Z')
  low.close()
})

test('what may write keeps its share', async () => {
  const low = await as('low')
  await low.query('BEGIN')
  low.send(wire.query("SELECT pg_sleep(0.4), 'low transaction'"))
  const pid = await backendOf('low transaction')
  assert.deepEqual(sqlstatesOf(await low.until('Z')), [])
  assert.equal(nicenessOf(pid), 0)
  await low.query('ROLLBACK')
  low.close()
})

test('a plane is let in before others when it wakes up, one on standby is not', async (t) => {
  const usual = timeSliceOf(0)
  if (usual === null) {
    t.skip('time slices are the kernel’s before Linux 6.12')
    return
  }
  await waitUntil('a standby', () => bed.router.pids.standbys.length > 0)
  const { planes, standbys } = bed.router.pids
  assert.deepEqual(
    planes.map(timeSliceOf),
    planes.map(() => SHORTEST_SLICE_US),
  )
  assert.deepEqual(
    standbys.map(timeSliceOf),
    standbys.map(() => usual),
  )
})
