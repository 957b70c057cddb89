import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { cpuMeans, HELD_SLICE_US } from '../../src/io/cpu-share.ts'
import { isAhead, SHORTEST_SLICE_US, setAhead, setTimeSlice, timeSliceOf } from '../../src/io/time-slice.ts'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { nicenessOf } from '../support/niceness.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const rules = ['medium', 'low'].map((tier) => ({ application: tier, tier }))
const bed = await ContinuityBed.open({ pool: { size: 3 }, tiers: { low: { nice: 7 }, rules } }, 0)
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

/** Whether this machine lets the router change what a backend gets of the CPU as often as it likes; skips the test if not. */
function mayChange(t: TestContext, pid: number): boolean {
  const means = cpuMeans(pid)
  const isFree = means.kind !== 'none' && means.kind !== 'slice' && !means.isRationed
  if (!isFree) t.skip('nothing on this machine may change what a process gets of the CPU at any time')
  return isFree
}

/** Whether processes of this account may run ahead of others; skips the test if not. */
function mayRunAhead(t: TestContext): boolean {
  const isAllowed = setAhead(true)
  if (isAllowed) setAhead(false)
  else t.skip('this account may not')
  setTimeSlice(0, 0)
  return isAllowed
}

test('a backend that works for a low tier gets less of the CPU on a server of this machine, one of another tier does not', async (t) => {
  const [low, medium] = [await as('low'), await as('medium')]
  low.send(wire.query(`${LONG} /* low read */`))
  const pid = await backendOf('low read')
  if (!mayChange(t, pid)) return
  const usual = timeSliceOf(0)
  assert.equal(nicenessOf(pid), 7)
  if (usual !== null) assert.equal(timeSliceOf(pid), HELD_SLICE_US)
  medium.send(wire.query(`${LONG} /* medium read */`))
  const other = await backendOf('medium read')
  await bed.on('shard-1')('SELECT pg_sleep(0.2)')
  assert.equal(nicenessOf(other), 0)
  assert.equal(timeSliceOf(other), usual)
  await bed.on('shard-1')(`SELECT pg_cancel_backend(${pid}), pg_cancel_backend(${other})`)
  assert.deepEqual([sqlstatesOf(await low.until('Z')), sqlstatesOf(await medium.until('Z'))], [['57014'], ['57014']])
  const { rows } = await bed.console.query<{ remote_pid: number; nice: number }>('SHOW SERVERS')
  assert.equal(rows.find((row) => row.remote_pid === pid)?.nice, 7)
  low.close()
  medium.close()
})

test('somebody of another tier who gets its server connection has the usual share', async (t) => {
  const [low, others] = [await as('low'), await Promise.all([as('medium'), as('medium'), as('medium')])]
  low.send(wire.query(`SELECT pg_backend_pid(), 'low first'`))
  const pid = Number(rowsOf(await low.until('Z'))[0]?.[0])
  if (!mayChange(t, pid)) return
  assert.equal(nicenessOf(pid), 7)
  // As many at a time as there are server connections, so that one of them gets this one.
  for (const each of others) each.send(wire.query('SELECT pg_backend_pid() FROM pg_sleep(0.3)'))
  const pids = await Promise.all(others.map(async (each) => Number(rowsOf(await each.until('Z'))[0]?.[0])))
  assert.ok(pids.includes(pid), `${pid} is none of ${pids.join()}`)
  assert.equal(nicenessOf(pid), 0)
  for (const each of [low, ...others]) each.close()
})

test('a plane is ahead of everybody while others are held back, and as usual a second later', async (t) => {
  if (!mayRunAhead(t)) return
  const low = await as('low')
  const [plane] = bed.router.pids.planes as [number]
  await waitUntil('the plane to wait its turn', () => isAhead(plane) === false)
  await low.query('SELECT 1')
  assert.equal(isAhead(plane), true)
  await waitUntil('the plane to wait its turn again', () => isAhead(plane) === false)
  low.close()
})

test('the plane that follows at an upgrade is ahead instead of the one before, and its backends are held back', async (t) => {
  const low = await as('low')
  low.send(wire.query(`${LONG} /* low meanwhile */`))
  const pid = await backendOf('low meanwhile')
  if (!mayChange(t, pid)) return
  if (!mayRunAhead(t)) return
  const [before] = bed.router.pids.planes as [number]
  assert.equal(isAhead(before), true)
  await waitUntil('a standby', () => bed.router.pids.standbys.length > 0)
  await bed.console.query('UPGRADE')
  await waitUntil('another plane that is ahead', () =>
    bed.router.pids.planes.some((plane) => plane !== before && isAhead(plane) === true),
  )
  assert.notEqual(isAhead(before), true)
  assert.equal(nicenessOf(pid), 7)
  await bed.on('shard-1')(`SELECT pg_cancel_backend(${pid})`)
  assert.deepEqual(sqlstatesOf(await low.until('Z')), ['57014'])
  low.close()
})

test('a write has its share back while somebody of a higher tier may wait for its lock', async (t) => {
  const sql = bed.on('shard-1')
  await sql('CREATE TABLE stock AS SELECT 1 AS id, 5 AS amount')
  const [low, medium] = [await as('low'), await as('medium')]
  low.send(wire.query(`BEGIN; UPDATE stock SET amount = 4; ${LONG} /* low write */`))
  const pid = await backendOf('low write')
  if (!mayChange(t, pid)) return
  assert.equal(nicenessOf(pid), 7)
  medium.send(wire.query('UPDATE stock SET amount = 3'))
  await waitUntil('it to have its share', () => nicenessOf(pid) === 0)
  await sql(`SELECT pg_cancel_backend(${pid})`)
  assert.deepEqual(sqlstatesOf(await low.until('Z')), ['57014'])
  await low.query('ROLLBACK')
  assert.deepEqual(sqlstatesOf(await medium.until('Z')), [])
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
  if (!mayChange(t, pid)) return
  await waitUntil('its workers to have less', async () => {
    const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE leader_pid = ${pid}`)
    return rows.length > 0 && rows.every((row) => nicenessOf(Number(row.pid)) === 7)
  })
  await sql(`SELECT pg_cancel_backend(${pid})`)
  await low.until('Z')
  low.close()
})

test('a plane is let in before others when it wakes up, one on standby is not', async (t) => {
  const usual = timeSliceOf(0)
  if (usual === null) {
    t.skip('time slices are the kernel’s before Linux 6.12')
    return
  }
  // The plane is ahead of everybody for a second after the test before, in which a standby may be replaced by another.
  await waitUntil('planes in the shortest slices', () =>
    bed.router.pids.planes.every((plane) => timeSliceOf(plane) === SHORTEST_SLICE_US),
  )
  await waitUntil('a standby in the usual ones', () => {
    const { standbys } = bed.router.pids
    return standbys.length > 0 && standbys.every((standby) => timeSliceOf(standby) === usual)
  })
})
