import type { ConnectionOptions } from 'node:tls'
import { type LoginOptions, type WireAddress, WireClient } from './wire-client.ts'
import * as wire from './wire-frames.ts'
import { rowsOf, sqlstatesOf } from './wire-message.ts'

/** How statements are sent: as text, as Parse and Bind of the unnamed statement, or prepared once under a name. */
export type QueryMode = 'simple' | 'extended' | 'prepared'
export const QUERY_MODES: readonly QueryMode[] = ['simple', 'extended', 'prepared']

const ACCOUNTS = 1000
const STATEMENTS = {
  update: 'UPDATE ledger_accounts SET balance = balance + $2 WHERE id = $1',
  read: 'SELECT balance FROM ledger_accounts WHERE id = $1',
  teller: 'UPDATE ledger_tellers SET balance = balance + $2 WHERE id = $1',
  history: 'INSERT INTO ledger_history (account, delta) VALUES ($1, $2)',
} as const
type Name = keyof typeof STATEMENTS

/** Makes or empties the tables. */
export async function prepareLedger(client: WireClient): Promise<void> {
  const answer = await client.query(`
    DROP TABLE IF EXISTS ledger_accounts, ledger_tellers, ledger_history;
    CREATE UNLOGGED TABLE ledger_accounts (id int PRIMARY KEY, balance int NOT NULL);
    CREATE UNLOGGED TABLE ledger_tellers (id int PRIMARY KEY, balance int NOT NULL);
    CREATE UNLOGGED TABLE ledger_history (account int, delta int);
    INSERT INTO ledger_accounts SELECT n, 0 FROM generate_series(0, ${ACCOUNTS - 1}) n;
    INSERT INTO ledger_tellers SELECT n, 0 FROM generate_series(0, 9) n`)
  if (sqlstatesOf(answer).length > 0) throw new Error(`the tables could not be made: ${answer.join(' ')}`)
}

/** Sums of accounts, tellers and history, and how many rows the history has; all sums are the same in a sound ledger. */
export async function ledgerSums(client: WireClient): Promise<{ sums: readonly string[]; transactions: number }> {
  const answer =
    await client.query(`SELECT (SELECT sum(balance) FROM ledger_accounts), (SELECT sum(balance) FROM ledger_tellers),
    (SELECT coalesce(sum(delta), 0) FROM ledger_history), (SELECT count(*) FROM ledger_history)`)
  const [row] = rowsOf(answer)
  if (row === undefined) throw new Error(`no sums: ${answer.join(' ')}`)
  return { sums: row.slice(0, 3).map(String), transactions: Number(row[3]) }
}

/** One client that moves money, in transactions like those of TPC-B, until it is stopped. */
export class LedgerClient {
  readonly #client: WireClient
  readonly #mode: QueryMode
  readonly #seed: number
  #isStopped = false
  committed = 0

  private constructor(client: WireClient, mode: QueryMode, seed: number) {
    this.#client = client
    this.#mode = mode
    this.#seed = seed
  }

  /** `tls`: over TLS, with these options. */
  static async open(
    address: WireAddress,
    login: LoginOptions,
    mode: QueryMode,
    seed: number,
    tls: ConnectionOptions | null = null,
  ): Promise<LedgerClient> {
    const client = await WireClient.connect(address)
    if (tls !== null) await client.requestTls(tls)
    await client.login(login)
    const one = new LedgerClient(client, mode, seed)
    if (mode === 'prepared') {
      const parses = Object.entries(STATEMENTS).map(([name, sql]) => wire.parse(name, sql))
      await one.#checked(Buffer.concat([...parses, wire.sync()]))
    }
    return one
  }

  stop(): void {
    this.#isStopped = true
  }

  close(): void {
    this.#client.close()
  }

  /** Rejects with the first thing that goes wrong. */
  async run(): Promise<void> {
    for (let n = this.#seed; !this.#isStopped; n += 7919) {
      const account = n % ACCOUNTS
      const delta = (n % 101) - 50
      await this.#checked(wire.query('BEGIN'))
      await this.#execute('update', account, delta)
      await this.#execute('read', account)
      await this.#execute('teller', n % 10, delta)
      await this.#execute('history', account, delta)
      await this.#checked(wire.query('COMMIT'))
      this.committed++
    }
  }

  async #execute(name: Name, ...values: readonly number[]): Promise<void> {
    const texts = values.map(String)
    if (this.#mode === 'simple') {
      await this.#checked(wire.query(STATEMENTS[name].replace(/\$(\d)/g, (_, at) => texts[Number(at) - 1] ?? '')))
    } else if (this.#mode === 'extended') await this.#checked(wire.extendedQuery(STATEMENTS[name], texts))
    else await this.#checked(Buffer.concat([wire.bind('', name, texts), wire.execute(''), wire.sync()]))
  }

  async #checked(frames: Buffer): Promise<void> {
    const answer = await this.#client.exchange(frames)
    const tags = answer.filter(({ type }) => type === 'C' || type === '1')
    if (sqlstatesOf(answer).length > 0 || tags.length === 0) throw new Error(`not done: ${answer.join(' ')}`)
  }
}
