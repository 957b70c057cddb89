import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { shapeOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

const bed = await ContinuityBed.open({ failover: { mode: 'local' }, timeouts: { server_connect: '500ms' } }, 1)
await bed.on('shard-1')('CREATE TABLE doubt (id text NOT NULL)')
for (const name of ['shard-1', 'shard-2']) {
  // Only transactions that ask for it wait for the replica.
  await bed.on(name)("ALTER SYSTEM SET synchronous_commit = 'local'")
  await bed.on(name)("ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'")
  await bed.on(name)('SELECT pg_reload_conf()')
}
await waitUntil('the replica to stream', async () => (await bed.streaming('shard-1')).length === 1)

/** The primary is killed while the COMMIT of a transaction that inserts `id` waits for the replica; its answer. */
async function killInCommit(client: WireClient, id: string, level: string): Promise<readonly WireMessage[]> {
  const primary = await bed.primary()
  assert.deepEqual(sqlstatesOf(await client.query('BEGIN')), [])
  assert.deepEqual(sqlstatesOf(await client.query(`SET LOCAL synchronous_commit = ${level}`)), [])
  assert.deepEqual(sqlstatesOf(await client.query(`INSERT INTO doubt VALUES ('${id}')`)), [])
  client.send(wire.query('COMMIT'))
  await waitUntil('the COMMIT to wait for the replica', async () => {
    const rows = await bed.on(primary)("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    return rows.length === 1
  })
  process.kill(await bed.pid(primary), 'SIGKILL')
  const answer = await client.until('Z', 60_000)
  assert.notEqual(await bed.primary(), primary)
  return answer
}

async function found(id: string): Promise<number> {
  return (await bed.on(await bed.primary())(`SELECT id FROM doubt WHERE id = '${id}'`)).length
}

test('a COMMIT that the replica has got, and its primary dies: it is confirmed by the new one', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  await bed.on('shard-2')('SELECT pg_wal_replay_pause()')
  const answer = await killInCommit(client, 'got', 'remote_apply')
  assert.deepEqual([shapeOf(answer), answer[0]?.strings[0]], ['CZ', 'COMMIT'], answer.join(' '))
  assert.equal(await found('got'), 1)
  client.close()
  const primary = await bed.primary()
  await waitUntil('the old one to stream', async () => (await bed.streaming(primary)).length === 1, {
    timeoutMs: 30_000,
  })
})

test('a COMMIT that no replica has got, and its primary dies: its transaction is run again on the new one', async () => {
  const primary = await bed.primary()
  const [replica] = bed.shards.filter(({ name }) => name !== primary)
  const client = await bed.open()
  await client.query('SELECT 1')
  await bed.on(replica!.name)("ALTER SYSTEM SET primary_conninfo = ''")
  await bed.on(replica!.name)('SELECT pg_reload_conf()')
  await waitUntil('the replica to be cut off', async () => (await bed.streaming(primary)).length === 0)
  const answer = await killInCommit(client, 'not got', 'on')
  assert.deepEqual([shapeOf(answer), answer[0]?.strings[0]], ['CZ', 'COMMIT'], answer.join(' '))
  assert.equal(await found('not got'), 1)
  client.close()
})
