import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LedgerClient, ledgerSums, prepareLedger, QUERY_MODES, type QueryMode } from '../support/ledger-load.ts'
import { killPlane, planesOf } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { Testbed } from '../support/testbed.ts'
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

/** Twenty clients move money while `disturb` runs; nobody may notice anything. */
async function runLedger(router: RouterProcess, mode: QueryMode, disturb: (clients: LedgerClient[]) => Promise<void>) {
  const auditor = await open(router)
  await prepareLedger(auditor)
  const clients = await Promise.all(
    Array.from({ length: 12 }, (_, seed) => LedgerClient.open(router, bed.login, mode, seed)),
  )
  for (const client of clients) bed.onClose(client, (one) => one.close())
  const runs = clients.map((client) => client.run())
  const all = Promise.all(runs)
  await Promise.race([all, disturb(clients)])
  for (const client of clients) client.stop()
  await all
  const { sums, transactions } = await ledgerSums(auditor)
  assert.equal(new Set(sums).size, 1, `the ledger does not balance: ${sums}`)
  const committed = clients.reduce((sum, client) => sum + client.committed, 0)
  assert.equal(transactions, committed)
  return committed
}

for (const mode of QUERY_MODES) {
  test(`${mode}: money moves through crashes of the plane`, async () => {
    const router = await bed.startRouter(SETTINGS)
    const committed = await runLedger(router, mode, async (clients) => {
      for (let round = 0; round < 8; round += 1) {
        const before = clients.reduce((sum, client) => sum + client.committed, 0)
        await waitUntil('transactions', () => clients.reduce((sum, client) => sum + client.committed, 0) > before + 40)
        await killPlane(router)
      }
    })
    assert.ok(committed > 200)
  })
}

for (const [point, every] of [
  ['received', 97],
  ['commit', 83],
  ['committed', 71],
  ['sending', 89],
  ['sent', 101],
] as const) {
  test(`each plane dies at its ${every}th "${point}": nobody notices`, async () => {
    const router = await bed.startRouter(SETTINGS, { env: { SWITCHYARD_CRASH: `${point}:${every}` } })
    const planes = new Set<number>()
    await runLedger(router, 'extended', async () => {
      await waitUntil('a few crashes', () => {
        for (const plane of planesOf(router)) planes.add(plane)
        return planes.size > 5
      })
    })
  })
}
