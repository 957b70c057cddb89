import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CRASH_POINTS, crashAt, untilCrashed } from '../support/crash-points.ts'
import { QUERY_MODES } from '../support/ledger-load.ts'
import { committedBy, runLedger } from '../support/ledger-run.ts'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { Testbed } from '../support/testbed.ts'
import { repeats } from '../support/thoroughness.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const SETTINGS = { server_tls: { mode: 'disable' } }
const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess, options: Record<string, string> = {}): Promise<WireClient> {
  const client = await WireClient.open(router, { ...bed.login, parameters: options })
  return bed.onClose(client, (one) => one.close())
}

test('an open transaction goes on, on the same server connection', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  await client.query('CREATE TABLE IF NOT EXISTS kept (n int)')
  await client.query('BEGIN')
  const pid = onlyValue(await client.query('SELECT pg_backend_pid()'))
  await client.query('INSERT INTO kept VALUES (1)')
  await killPlane(router)
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM kept')), '1')
  assert.equal(onlyValue(await client.query('SELECT pg_backend_pid()')), pid)
  assert.deepEqual(sqlstatesOf(await client.query('COMMIT')), [])
  await client.query('DROP TABLE kept')
})

test('so does one that no server knows of yet', async () => {
  const router = await bed.startRouter({ ...SETTINGS, routing: { begin: 'deferred' } })
  const client = await open(router)
  await client.query('SELECT 1')
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ')
  await killPlane(router)
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'repeatable read')
  await client.query('SELECT 1')
  await killPlane(router)
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'repeatable read')
  assert.equal((await client.query('ROLLBACK')).at(-1)?.body.toString(), 'I')
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'read committed')
})

test('a query that runs is answered', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  const answer = client.query('SELECT 42 FROM pg_sleep(1)')
  await waitUntil('the query to run', async () =>
    (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
  )
  await killPlane(router)
  assert.equal(onlyValue(await answer), '42')
})

test('settings that are being set become those of the session that sets them, and of nobody else', async () => {
  const router = await bed.startRouter(SETTINGS)
  const show = "SELECT coalesce(current_setting('app.who', true), '')"
  const [one, other, third] = [await open(router), await open(router), await open(router)]
  const answers = [one, other].map((client, at) => client.query(`SET app.who = '${at}'; SELECT pg_sleep(1)`))
  await waitUntil(
    'both to run',
    async () => (await bed.cluster.backends(bed.database)).filter(({ state }) => state === 'active').length === 2,
  )
  await killPlane(router)
  await third.query('SELECT 1')
  for (const answer of answers) assert.deepEqual(sqlstatesOf(await answer), [])
  // On server connections that have none of it yet.
  await bed.sql(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
  )
  await waitUntil('them to be gone', async () => (await bed.cluster.backends(bed.database)).length === 0)
  assert.equal(onlyValue(await one.query(show)), '0')
  assert.equal(onlyValue(await other.query(show)), '1')
  assert.equal(onlyValue(await third.query(show)), '')
})

for (const mode of QUERY_MODES) {
  test(`${mode}: money moves through crashes of the plane`, async () => {
    const router = await bed.startRouter(SETTINGS)
    const committed = await runLedger(bed, router, { mode, clients: 12, tls: null }, async (clients) => {
      for (let round = 0; round < repeats(4); round += 1) {
        const before = committedBy(clients)
        await waitUntil('transactions', () => committedBy(clients) > before + 40)
        await killPlane(router)
      }
    })
    assert.ok(committed > 150)
  })
}

for (const crash of CRASH_POINTS) {
  test(`each plane dies at its ${crash.every}th "${crash.point}": nobody notices`, async () => {
    const router = await bed.startRouter(SETTINGS, crashAt(crash))
    await runLedger(bed, router, { mode: 'extended', clients: 12, tls: null }, () => untilCrashed(router, repeats(3)))
  })
}
