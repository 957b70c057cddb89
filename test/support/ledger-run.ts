import assert from 'node:assert/strict'
import type { ConnectionOptions } from 'node:tls'
import { LedgerClient, ledgerSums, prepareLedger, type QueryMode } from './ledger-load.ts'
import type { RouterProcess } from './router-process.ts'
import type { Testbed } from './testbed.ts'
import { WireClient } from './wire-client.ts'

export interface LedgerRun {
  readonly mode: QueryMode
  readonly clients: number
  /** Of the clients; null: without TLS. */
  readonly tls: ConnectionOptions | null
}

/**
 * Clients move money while `disturb` runs; nobody may notice anything, and afterwards the ledger balances and has what the
 * clients were told is committed. Returns how many transactions there were.
 */
export async function runLedger(
  bed: Testbed,
  router: RouterProcess,
  { mode, clients: count, tls }: LedgerRun,
  disturb: (clients: readonly LedgerClient[]) => Promise<void>,
): Promise<number> {
  const auditor = bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
  await prepareLedger(auditor)
  const clients = await Promise.all(
    Array.from({ length: count }, (_, seed) => LedgerClient.open(router, bed.login, mode, seed, tls)),
  )
  for (const client of clients) bed.onClose(client, (one) => one.close())
  const all = Promise.all(clients.map((client) => client.run()))
  await Promise.race([all, disturb(clients)])
  for (const client of clients) client.stop()
  await all
  const { sums, transactions } = await ledgerSums(auditor)
  assert.equal(new Set(sums).size, 1, `the ledger does not balance: ${sums}`)
  const committed = committedBy(clients)
  assert.equal(transactions, committed)
  return committed
}

/** Transactions that these clients know to be committed. */
export function committedBy(clients: readonly LedgerClient[]): number {
  return clients.reduce((sum, client) => sum + client.committed, 0)
}
