import { type LoginOptions, type WireAddress, WireClient } from './wire-client.ts'
import * as wire from './wire-frames.ts'
import { sqlstatesOf } from './wire-message.ts'

/** What the clients of a load of reads saw. */
export interface ReadReport {
  readonly reads: number
  readonly errors: readonly string[]
}

/** A read that may run on any replica, and takes a few milliseconds of a processor. */
const QUERY = 'SELECT count(*) FROM generate_series(1, 20000) AS number'

/** Clients that read without a pause, so that there are always as many reads as clients. */
export class ReadLoad {
  readonly #clients: readonly WireClient[]
  readonly #errors: string[] = []
  readonly #loops: Promise<void>[]
  #reads = 0
  #isRunning = true

  private constructor(clients: readonly WireClient[], sql: string) {
    this.#clients = clients
    this.#loops = clients.map((client) => this.#run(client, sql))
  }

  static async start(
    address: WireAddress,
    login: LoginOptions,
    options: { readonly clients: number; readonly sql?: string },
  ): Promise<ReadLoad> {
    const clients: WireClient[] = []
    for (let number = 0; number < options.clients; number++) clients.push(await WireClient.open(address, login))
    return new ReadLoad(clients, options.sql ?? QUERY)
  }

  get reads(): number {
    return this.#reads
  }

  get errors(): readonly string[] {
    return this.#errors
  }

  /** Lets every client finish what it is at. */
  async stop(): Promise<ReadReport> {
    this.#isRunning = false
    await Promise.all(this.#loops)
    for (const client of this.#clients) client.close()
    return { reads: this.#reads, errors: this.#errors }
  }

  async #run(client: WireClient, sql: string): Promise<void> {
    client.timeoutMs = 60_000
    try {
      while (this.#isRunning) {
        this.#errors.push(...sqlstatesOf(await client.exchange(wire.query(sql), 1)))
        this.#reads++
      }
    } catch (error) {
      this.#errors.push(error instanceof Error ? error.message : String(error))
    }
  }
}
