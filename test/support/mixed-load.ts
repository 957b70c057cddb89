import { type LoginOptions, type WireAddress, WireClient } from './wire-client.ts'
import * as wire from './wire-frames.ts'
import { onlyValue, sqlstatesOf, type WireMessage } from './wire-message.ts'
import { WireClosed } from './wire-stream.ts'

/** What one client of the load does, over and over. */
const KINDS = ['simple', 'prepared', 'transfer', 'read', 'pipeline', 'copy', 'settings', 'transfer'] as const
export type LoadKind = (typeof KINDS)[number]

const ACCOUNTS = 50
const BALANCE = 1000
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
  /** There more than once. */
  readonly doubled: number
  /** The sum over all accounts is what it was. */
  readonly isBalanced: boolean
}

/** SQL on a server itself; rows with all values as text. */
export type DirectSql = (text: string) => Promise<readonly Record<string, unknown>[]>

class LoadFailure extends Error {
  readonly sqlstate: string
  readonly during: string
  constructor(answer: WireMessage, during: string) {
    super(answer.fields.M ?? '')
    this.sqlstate = answer.sqlstate
    this.during = during
  }
}

/** Clients that write, read, transfer and copy, each with rows that nobody else writes, and remember what was confirmed. */
export class MixedLoad {
  readonly #address: WireAddress
  readonly #login: LoginOptions
  readonly #tls: boolean
  readonly #kinds: readonly LoadKind[]
  readonly #confirmed = new Set<string>()
  readonly #errors: LoadError[] = []
  readonly #dropped: string[] = []
  readonly #wrong: string[] = []
  readonly #stalls: number[] = []
  readonly #loops: Promise<void>[] = []
  #operations = 0
  #isRunning = true
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
      CREATE TABLE account (id int PRIMARY KEY, balance int NOT NULL);
      INSERT INTO account SELECT i, ${BALANCE} FROM generate_series(1, ${ACCOUNTS}) i;
      GRANT ALL ON entry, account TO PUBLIC`)
  }

  /** `tls`: every other client uses it. */
  static start(
    address: WireAddress,
    login: LoginOptions,
    options: { readonly clients: number; readonly tls?: boolean; readonly kinds?: readonly LoadKind[] },
  ): MixedLoad {
    const load = new MixedLoad(address, login, options.tls === true, options.kinds ?? KINDS)
    for (let number = 0; number < options.clients; number++) load.#loops.push(load.#run(number))
    return load
  }

  get operations(): number {
    return this.#operations
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
      wrong: this.#wrong,
      stallsMs: this.#stalls,
    }
  }

  async audit(sql: DirectSql): Promise<Audit> {
    const rows = await sql('SELECT id, count(*)::int AS times FROM entry GROUP BY id')
    const found = new Map(rows.map((row) => [String(row.id), Number(row.times)]))
    const [sum] = await sql('SELECT sum(balance)::int AS total FROM account')
    return {
      lost: [...this.#confirmed].filter((id) => !found.has(id)).length,
      doubled: [...found.values()].filter((times) => times > 1).length,
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
      try {
        client ??= await LoadClient.open(this.#address, this.#login, tls)
        client.worstMs = 0
        const id = `${number}:${turn}:${this.#number}`
        const wrong = await client.work(kind, id)
        if (wrong === null) {
          if (kind !== 'read' && kind !== 'settings') this.#confirmed.add(id)
        } else this.#wrong.push(wrong)
        this.#operations++
      } catch (error) {
        if (!(error instanceof LoadFailure)) {
          this.#dropped.push(error instanceof WireClosed ? `${kind}: ${error.message}` : `${kind}: ${String(error)}`)
          client?.close()
          client = null
        } else {
          const { sqlstate, message, during } = error
          this.#errors.push({ kind, sqlstate, message, during })
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
}

/** One connection of the load. */
class LoadClient {
  readonly #wire: WireClient
  #isPrepared = false
  #setting = ''
  /** The longest wait for one answer. */
  worstMs = 0

  private constructor(client: WireClient) {
    this.#wire = client
    client.timeoutMs = 60_000
  }

  static async open(address: WireAddress, login: LoginOptions, tls: boolean): Promise<LoadClient> {
    const client = await WireClient.connect(address)
    if (tls) await client.requestTls()
    await client.login(login)
    return new LoadClient(client)
  }

  close(): void {
    this.#wire.close()
  }

  /** Returns what is wrong with an answer, null: nothing. Throws LoadFailure for an error, which leaves no transaction. */
  async work(kind: LoadKind, id: string): Promise<string | null> {
    switch (kind) {
      case 'simple':
        await this.#ask(`INSERT INTO entry VALUES ('${id}')`)
        return null
      case 'prepared':
        return await this.#prepared(id)
      case 'transfer':
        return await this.#transfer(id)
      case 'read':
        return await this.#read()
      case 'pipeline':
        return await this.#pipeline(id)
      case 'copy':
        return await this.#copy(id)
      case 'settings':
        return await this.#settings(id)
    }
  }

  async #prepared(id: string): Promise<null> {
    const parse = this.#isPrepared ? [] : [wire.parse('insert', 'INSERT INTO entry VALUES ($1)')]
    const frames = [...parse, wire.bind('', 'insert', [id]), wire.execute(''), wire.sync()]
    const answer = await this.#timed('prepared insert', Buffer.concat(frames), 1)
    this.#isPrepared = answer.length > 0
    return null
  }

  async #transfer(id: string): Promise<string | null> {
    const [from, to] = accountsOf(id)
    try {
      await this.#ask('BEGIN')
      await this.#ask(`UPDATE account SET balance = balance - 1 WHERE id = ${from}`)
      await this.#ask(`UPDATE account SET balance = balance + 1 WHERE id = ${to}`)
      await this.#ask(`INSERT INTO entry VALUES ('${id}')`)
      const tag = (await this.#ask('COMMIT')).find(({ type }) => type === 'C')?.strings[0]
      return tag === 'COMMIT' ? null : `a COMMIT without an error before it was answered with ${tag}`
    } catch (error) {
      if (error instanceof LoadFailure) await this.#wire.query('ROLLBACK')
      throw error
    }
  }

  async #read(): Promise<string | null> {
    const total = onlyValue(await this.#timed('read', wire.extendedQuery('SELECT sum(balance) FROM account'), 1))
    return Number(total) === ACCOUNTS * BALANCE ? null : `a read found ${total} in all accounts`
  }

  async #pipeline(id: string): Promise<string | null> {
    const frames = [
      wire.extendedQuery('SELECT $1::text', [id]),
      wire.extendedQuery('INSERT INTO entry VALUES ($1)', [id]),
      wire.extendedQuery('SELECT $1::text', [`${id}!`]),
    ]
    const answer = await this.#timed('pipeline', Buffer.concat(frames), 3)
    const values = answer.filter(({ type }) => type === 'D').map((message) => message.row[0])
    return values.join() === [id, `${id}!`].join() ? null : `a pipeline answered ${values.join()} to ${id}`
  }

  async #copy(id: string): Promise<null> {
    const began = performance.now()
    this.#wire.send(wire.query('COPY entry FROM STDIN'), wire.copyData(`${id}\n`), wire.copyDone())
    this.#judge('COPY', await this.#wire.until('Z'), began)
    return null
  }

  async #settings(id: string): Promise<string | null> {
    const shown = onlyValue(
      await this.#ask(`SELECT current_setting('search_path') || current_setting('app.load', true)`),
    )
    const wanted = this.#setting === '' ? shown : `public${this.#setting}`
    await this.#ask(`SET search_path = public`)
    await this.#ask(`SET app.load = '${id}'`)
    this.#setting = id
    return shown === wanted ? null : `a session of ${wanted} had ${shown}`
  }

  async #ask(sql: string): Promise<WireMessage[]> {
    return await this.#timed(sql, wire.query(sql), 1)
  }

  async #timed(what: string, frames: Buffer, count: number): Promise<WireMessage[]> {
    const began = performance.now()
    return this.#judge(what, await this.#wire.exchange(frames, count), began)
  }

  #judge(what: string, answer: WireMessage[], began: number): WireMessage[] {
    this.worstMs = Math.max(this.worstMs, performance.now() - began)
    const error = answer.find(({ type }) => type === 'E')
    if (error !== undefined && sqlstatesOf(answer).length > 0) throw new LoadFailure(error, what)
    return answer
  }
}

function accountsOf(id: string): [number, number] {
  const [client = 0, turn = 0] = id.split(':').map(Number)
  const from = 1 + ((client * 7 + turn) % ACCOUNTS)
  const to = 1 + ((client * 13 + turn * 3 + 1) % ACCOUNTS)
  // Always the lower one first: transfers wait for each other, and never in a circle.
  return from === to ? [from, (to % ACCOUNTS) + 1] : from < to ? [from, to] : [to, from]
}
