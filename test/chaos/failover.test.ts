import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { MixedLoad } from '../support/mixed-load.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'
import { harm } from './shard-faults.ts'

const bed = await ContinuityBed.open({ failover: { mode: 'local' }, timeouts: { server_connect: '500ms' } })
await MixedLoad.prepare(bed.on('shard-1'))
for (const name of ['shard-1', 'shard-2', 'shard-3']) {
  await bed.on(name)(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'`)
  await bed.on(name)('SELECT pg_reload_conf()')
}

/** What an error in the middle of a failover may be: nobody may be told that something is done, or not done, that is not. */
const HONEST = /^(08006|08007|40001|25P02|57P0[123])$/

async function settled(operation: string): Promise<void> {
  await waitUntil(
    `the ${operation} to be over`,
    async () => {
      const { rows } = await bed.console.query('SHOW OPERATIONS')
      return rows[0]?.state === 'done' && String(rows[0]?.operation).startsWith(operation) && rows[0]
    },
    { timeoutMs: 30_000 },
  )
}

for (const [signal, name] of [
  ['SIGKILL', 'killed'],
  ['SIGKILL', 'killed again'],
] as const) {
  test(`the primary is ${name}: a replica takes its place, nothing acknowledged is lost, and all clients stay`, async () => {
    const lost = await bed.primary()
    const load = MixedLoad.start(bed.router, bed.login, { clients: 16 })
    await waitUntil('the load to run', () => load.operations > 100)
    process.kill(await bed.pid(lost), signal)
    await waitUntil('another primary', async () => (await bed.primary()) !== lost)
    const before = load.operations
    await waitUntil('the load to go on', () => load.operations > before + 200)
    const { errors, dropped, wrong } = await load.stop()
    assert.deepEqual({ dropped, wrong }, { dropped: [], wrong: [] })
    for (const { sqlstate } of errors) assert.match(sqlstate, HONEST)
    const primary = await bed.primary()
    assert.deepEqual(await load.audit(bed.on(primary)), { lost: 0, doubled: 0, isBalanced: true })
    await settled('failover')
    await waitUntil('both to stream', async () => (await bed.streaming(primary)).length === 2)
  })
}

test('the report has what was lost with the primary before that was certain: pinned sessions, and work that was run again', async () => {
  const lost = await bed.primary()
  const [pinned, reading] = [await bed.open({ application_name: 'pinned' }), await bed.open()]
  await pinned.query('CREATE TEMP TABLE mine (x int)')
  reading.send(wire.query('SELECT 7 FROM pg_sleep(1)'))
  await waitUntil('it to work', async () => {
    const [row] = await bed.on(lost)(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'SELECT 7%'`)
    return row?.n === 1
  })
  for (const pid of await bed.processes(lost)) process.kill(pid, 'SIGKILL')
  const { messages } = await pinned.untilClosed()
  assert.match(String(messages.at(-1)?.fields.M), /session state \(.*temporaryObject\)/)
  assert.equal(onlyValue(await reading.until('Z', 30_000)), '7')
  await settled('failover')
  const [event] = (await bed.console.query('SHOW PRESERVATION')).rows
  assert.deepEqual([event.event, Number(event.dropped), Number(event.told)], ['failover', 1, 1])
  assert.match(event.reasons, /^its server connection had state of its own \(.*temporaryObject\): 1$/)
  assert.match(event.work, /reads run again: \d/)
  const clients = (await bed.console.query('SHOW PRESERVED_CLIENTS')).rows
  const row = clients.find((each) => each.event_id === event.event_id && each.application_name === 'pinned')
  assert.equal(row?.outcome, 'dropped')
  reading.close()
})

test('a backend that works on after its postmaster was killed commits nothing', async () => {
  const lost = await bed.primary()
  await bed.on(lost)('CREATE TABLE IF NOT EXISTS ghosts (x int)')
  const client = await bed.open()
  const busy = client.query('INSERT INTO ghosts SELECT count(*) FROM generate_series(1, 30000000)', 30_000)
  await waitUntil('it to work', async () => {
    const [row] = await bed.on(lost)(
      `SELECT count(*)::int AS n FROM pg_stat_activity WHERE query LIKE 'INSERT INTO ghosts%'`,
    )
    return row?.n === 1
  })
  process.kill(await bed.pid(lost), 'SIGKILL')
  assert.deepEqual(sqlstatesOf(await busy), ['08007'])
  await settled('failover')
  const primary = await bed.primary()
  assert.notEqual(primary, lost)
  assert.deepEqual(await bed.on(primary)('SELECT x FROM ghosts'), [])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  client.close()
  await waitUntil('both to stream', async () => (await bed.streaming(primary)).length === 2, { timeoutMs: 20_000 })
})

test('a primary that takes no connections any more is replaced, and a request that needs one waits for it', async () => {
  const lost = await bed.primary()
  const client = await bed.open()
  await client.query('SELECT 1')
  process.kill(await bed.pid(lost), 'SIGSTOP')
  // Connections that are open work on: only a new one shows it.
  await bed.command('RECONNECT')
  assert.equal(onlyValue(await client.query('SELECT 1', 30_000)), '1')
  assert.notEqual(await bed.primary(), lost)
  await settled('failover')
  client.close()
})

test('somebody else promotes a replica at the moment at which the primary is lost: there is one primary, and all others follow it', async () => {
  const lost = await bed.primary()
  const client = await bed.open()
  await client.query(`SET app.tenant = 'seven'`)
  assert.deepEqual(sqlstatesOf(await client.query('CREATE TABLE raced AS SELECT 1 AS x')), [])
  await harm(bed, 'promoteRace', () => 0.5)
  assert.notEqual(await bed.primary(), lost)
  assert.equal(onlyValue(await client.query(`SELECT x || current_setting('app.tenant') FROM raced`, 30_000)), '1seven')
  assert.deepEqual(sqlstatesOf(await client.query('INSERT INTO raced VALUES (2)')), [])
  client.close()
})
