import { LoadClient, LoadFailure } from './load-client.ts'
import { ACCOUNTS, BALANCE, type LoadKind, loadWork } from './load-work.ts'
import { lockLedger } from './lock-ledger.ts'
import { waitUntil } from './wait-until.ts'
import type { LoginOptions, WireAddress } from './wire-client.ts'
import { WireClosed } from './wire-stream.ts'

export type { LoadKind }

/** What clients of the load do, one kind each, over and over, when nothing else is said. */
export const ORDINARY_KINDS: readonly LoadKind[] = [
  'simple',
  'prepared',
  'transfer',
  'read',
  'pipeline',
  'copy',
  'settings',
  'transfer',
]
/** Of those that write rows which are looked for in the end. */
const WRITES: ReadonlySet<LoadKind> = new Set(['simple', 'prepared', 'transfer', 'pipeline', 'copy', 'ownWrites'])

/** As many clients do as applications do: with pauses. */
const PAUSE_MS = 4
let loads = 0

export interface LoadError {
  readonly kind: LoadKind
  readonly sqlstate: string
  readonly message: string
  /** The statement that it answered. */
  readonly during: string
}

/** An error, or the end of a connection. */
export interface LoadTrouble {
  readonly kind: LoadKind
  /** Null: the connection ended. */
  readonly sqlstate: string | null
  readonly text: string
}

/** What the clients saw. */
export interface LoadReport {
  readonly operations: number
  readonly errors: readonly LoadError[]
  /** Connections that ended, with the reason. */
  readonly dropped: readonly string[]
  /** Answers that no server could have given. */
  readonly wrong: readonly string[]
  /** The longest wait of each client for one answer, in milliseconds. */
  readonly stallsMs: readonly number[]
}

/** What the database has at the end, against what clients were told. */
export interface Audit {
  /** Acknowledged, and not there. */
  readonly lost: number
  /** There more than once, or there although it was said to be rolled back. */
  readonly doubled: number
  /** The sum over all accounts is what it was. */
  readonly isBalanced: boolean
}

/** SQL on a server itself; rows with all values as text. */
export type DirectSql = (text: string) => Promise<readonly Record<string, unknown>[]>

/** Clients that write, read, transfer and copy, each with rows that nobody else writes, and remember what was confirmed. */
export class MixedLoad {
  readonly #address: WireAddress
  readonly #login: LoginOptions
  readonly #tls: boolean
  readonly #kinds: readonly LoadKind[]
  readonly #confirmed = new Set<string>()
  /** Of transactions that their clients were told are rolled back. */
  readonly #undone = new Set<string>()
  readonly #errors: LoadError[] = []
  readonly #dropped: string[] = []
  readonly #failures: LoadTrouble[] = []
  readonly #wrong: string[] = []
  readonly #stalls: number[] = []
  readonly #loops: Promise<void>[] = []
  #operations = 0
  #isRunning = true
  /** Of each client, whatever came of them. */
  readonly #turns: number[] = []
  #epoch = 0
  /** No other load has it in its ids. */
  readonly #number = loads++

  private constructor(address: WireAddress, login: LoginOptions, tls: boolean, kinds: readonly LoadKind[]) {
    this.#kinds = kinds
    this.#address = address
    this.#login = login
    this.#tls = tls
  }

  /** Makes the tables of the load in the database of `sql`. */
  static async prepare(sql: DirectSql): Promise<void> {
    await sql(`CREATE TABLE entry (id text NOT NULL);
      CREATE INDEX ON entry (id);
      CREATE SEQUENCE load_numbers;
      CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
      INSERT INTO account SELECT i, ${BALANCE} FROM generate_series(1, ${ACCOUNTS}) i;
      GRANT ALL ON entry, account, load_numbers TO PUBLIC`)
  }

  /** `tls`: every other client uses it. */
  static start(
    address: WireAddress,
    login: LoginOptions,
    options: { readonly clients: number; readonly tls?: boolean; readonly kinds?: readonly LoadKind[] },
  ): MixedLoad {
    const load = new MixedLoad(address, login, options.tls === true, options.kinds ?? ORDINARY_KINDS)
    for (let number = 0; number < options.clients; number++) load.#loops.push(load.#run(number))
    return load
  }

  get operations(): number {
    return this.#operations
  }

  /** Every error and every end of a connection so far, with the kind of work. */
  get failures(): readonly LoadTrouble[] {
    return this.#failures
  }

  /** Settles when every client has finished what it is at, and something more: what happened before has shown by then. */
  async goneOn(timeoutMs: number): Promise<void> {
    const before = [...this.#turns]
    await waitUntil('every client to go on', () => before.every((turns, number) => this.#turns[number]! >= turns + 2), {
      timeoutMs,
    })
  }

  /** What clients have waited for until now is not what is measured. */
  forgetStalls(): void {
    this.#epoch++
  }

  /** Lets every client finish what it is at. */
  async stop(): Promise<LoadReport> {
    this.#isRunning = false
    await Promise.all(this.#loops)
    return {
      operations: this.#operations,
      errors: this.#errors,
      dropped: this.#dropped,
      wrong: lockLedger.conflicts === 0 ? this.#wrong : [...this.#wrong, 'two clients had the same lock'],
      stallsMs: this.#stalls,
    }
  }

  async audit(sql: DirectSql): Promise<Audit> {
    const rows = await sql('SELECT id, count(*)::int AS times FROM entry GROUP BY id')
    const found = new Map(rows.map((row) => [String(row.id), Number(row.times)]))
    const [sum] = await sql('SELECT sum(balance)::int AS total FROM account')
    return {
      lost: [...this.#confirmed].filter((id) => !found.has(id)).length,
      doubled: [...found].filter(([id, times]) => times > 1 || this.#undone.has(id)).length,
      isBalanced: Number(sum?.total) === ACCOUNTS * BALANCE,
    }
  }

  async #run(number: number): Promise<void> {
    const kind = this.#kinds[number % this.#kinds.length] as LoadKind
    const tls = this.#tls && number % 2 === 1
    let client: LoadClient | null = null
    let worst = 0
    let epoch = 0
    for (let turn = 0; this.#isRunning; turn++) {
      this.#turns[number] = turn
      const id = `${number}:${turn}:${this.#number}`
      try {
        client ??= await LoadClient.open(this.#address, this.#login, tls)
        client.worstMs = 0
        const wrong = await loadWork[kind](client, id)
        if (wrong !== null) this.#wrong.push(wrong)
        else if (WRITES.has(kind)) this.#confirmed.add(id)
        this.#operations++
      } catch (error) {
        this.#note(kind, id, error)
        if (!(error instanceof LoadFailure)) {
          client?.close()
          client = null
        }
      }
      if (epoch !== this.#epoch) {
        epoch = this.#epoch
        worst = 0
      }
      worst = Math.max(worst, client?.worstMs ?? 0)
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
    }
    this.#stalls.push(worst)
    client?.close()
  }

  #note(kind: LoadKind, id: string, error: unknown): void {
    if (!(error instanceof LoadFailure)) {
      const text = error instanceof WireClosed ? error.message : String(error)
      this.#dropped.push(`${kind}: ${text}`)
      this.#failures.push({ kind, sqlstate: null, text })
      return
    }
    const { sqlstate, message, during } = error
    this.#errors.push({ kind, sqlstate, message, during })
    this.#failures.push({ kind, sqlstate, text: `${message} (${during})` })
    if (isRolledBack(kind, sqlstate, during)) this.#undone.add(id)
  }
}

/** Its client was told for certain that nothing of it stays. */
function isRolledBack(kind: LoadKind, sqlstate: string, during: string): boolean {
  return kind === 'transfer' && during !== 'COMMIT' && sqlstate !== '08007'
}
