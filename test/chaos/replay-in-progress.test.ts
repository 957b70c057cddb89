import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { FaultProxy } from '../support/fault-proxy.ts'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })
const path = await FaultProxy.start(bed.cluster.primary)
bed.onEnd(() => path.close())
await bed.sql('CREATE TABLE account AS SELECT i AS id, 0 AS balance FROM generate_series(1, 2) i')
await bed.sql('GRANT ALL ON account TO PUBLIC')

/** A router that has a client in a transaction: one account has less, and the other is about to have more. */
async function begin(): Promise<{ readonly router: RouterProcess; readonly client: WireClient }> {
  const { host, port } = path
  const router = await bed.startRouter({
    shards: [{ name: 'one', host, port, max_connections: 60 }],
    timeouts: { server_login_retry: '50ms', query_wait: '30s' },
    replay: { age: '60s' },
  })
  const client = bed.onClose(await WireClient.open(router, bed.login), (one) => one.close())
  await bed.sql('UPDATE account SET balance = 100')
  await client.query('BEGIN')
  const answer = await client.query('UPDATE account SET balance = balance - 10 WHERE id = 1 RETURNING balance')
  assert.equal(onlyValue(answer), '90')
  return { router, client }
}

/** Nothing is lost, and nothing is done twice. */
async function assertMoved(client: WireClient): Promise<void> {
  assert.deepEqual(sqlstatesOf(await client.query('COMMIT')), [])
  assert.deepEqual(await bed.sql('SELECT balance FROM account ORDER BY id'), [{ balance: 90 }, { balance: 110 }])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
}

const MORE = 'UPDATE account SET balance = balance + 10 WHERE id = 2 RETURNING balance'

/** Backends that wait for a lock on the first account. */
async function waiting(): Promise<number> {
  const text = `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%balance - 10%'`
  return (await bed.sql(text)).length
}

for (const isAsking of [false, true]) {
  const what = isAsking ? 'whose client waits for an answer' : 'whose client thinks'
  test(`a transaction ${what} is run again, the plane dies in the middle of that, twice, and it goes on`, async () => {
    const { router, client } = await begin()
    const rival = new pg.Client({ ...bed.cluster.primary, ...bed.role, database: bed.database })
    bed.onClose(rival, (one) => one.end())
    await rival.connect()
    await rival.query('BEGIN')
    // Gets the row as soon as the transaction is lost, and keeps it from being run again to the end.
    const locked = rival.query('SELECT FROM account WHERE id = 1 FOR UPDATE')
    await waitUntil(
      'the rival to wait',
      async () => (await bed.sql('SELECT FROM pg_locks WHERE NOT granted')).length > 0,
    )
    path.resetAll()
    await locked
    if (isAsking) client.send(wire.query(MORE))
    await waitUntil('it to be run again', async () => (await waiting()) === 1)
    for (const more of [2, 3]) {
      await killPlane(router)
      await waitUntil('it to be run again by the next plane', async () => (await waiting()) >= more - 1)
    }
    await rival.query('ROLLBACK')
    const answer = isAsking ? await client.until('Z') : await client.query(MORE)
    assert.deepEqual(rowsOf(answer), [['110']])
    await assertMoved(client)
  })
}

test('a transaction waits for a server connection to be run again on when the plane dies, and goes on', async () => {
  const { router, client } = await begin()
  await path.inject({ kind: 'refuse' })
  path.resetAll()
  client.send(wire.query(MORE))
  const console = await openConsole(router)
  const states = async () => (await console.query('SHOW CLIENTS')).rows.map(({ state }) => state)
  await waitUntil('it to wait', async () => (await states()).includes('waiting'))
  await killPlane(router)
  await path.heal()
  assert.deepEqual(rowsOf(await client.until('Z')), [['110']])
  await assertMoved(client)
})
