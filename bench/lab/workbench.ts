import { Socket, type TcpNetConnectOpts } from 'node:net'
import type pg from 'pg'
import { from as copyFrom, to as copyTo } from 'pg-copy-streams'

/** Who a client says it is, and from where. */
export interface LabIdentity {
  readonly user: string
  /** Before digits are put in: `worker-{n}`. */
  readonly application: string
  /** `127.0.x`: one subnet. */
  readonly subnet: string
}

/** What a client's script may use. Times go by in real time; chance comes from the lab's seed. */
export interface Workbench {
  readonly random: () => number
  /** Milliseconds at which the lab ends. */
  readonly endsAt: number
  readonly port: number
  connect(identity: LabIdentity, settings?: Readonly<Record<string, string>>): Promise<LabClient>
  sleep(milliseconds: number): Promise<void>
}

/** A connection of the lab. */
export class LabClient {
  readonly pg: pg.Client
  readonly #onEnd: () => void

  constructor(client: pg.Client, onEnd: () => void) {
    this.pg = client
    this.#onEnd = onEnd
  }

  async query(text: string, values?: readonly unknown[], name?: string): Promise<pg.QueryResult> {
    if (name !== undefined) return await this.pg.query({ name, text, values: [...(values ?? [])] })
    return values === undefined ? await this.pg.query(text) : await this.pg.query(text, [...values])
  }

  async copyIn(text: string, chunks: Iterable<string>): Promise<void> {
    const stream = this.pg.query(copyFrom(text))
    await new Promise<void>((resolve, reject) => {
      stream.on('finish', resolve)
      stream.on('error', reject)
      for (const chunk of chunks) stream.write(chunk)
      stream.end()
    })
  }

  async copyOut(text: string): Promise<void> {
    const stream = this.pg.query(copyTo(text))
    await new Promise<void>((resolve, reject) => {
      stream.on('data', () => {})
      stream.on('end', resolve)
      stream.on('error', reject)
    })
  }

  async end(): Promise<void> {
    this.#onEnd()
    await this.pg.end().catch(() => {})
  }
}

/** A socket that leaves from an address of its own: loopback has 16 million of them. */
export class FromAddress extends Socket {
  readonly #localAddress: string

  constructor(localAddress: string) {
    super()
    this.#localAddress = localAddress
  }

  override connect(...parameters: unknown[]): this {
    const [port, host] = parameters
    if (typeof port !== 'number') return super.connect(...(parameters as [TcpNetConnectOpts]))
    return super.connect({ port, host: String(host ?? '127.0.0.1'), localAddress: this.#localAddress })
  }
}

/** A number from `low` to `high`, small ones as likely as large ones on a logarithmic scale. */
export function between(random: () => number, low: number, high: number): number {
  return low * (high / low) ** random()
}

/** A whole number from `low` to `high`, both included. */
export function whole(random: () => number, low: number, high: number): number {
  return low + Math.floor(random() * (high - low + 1))
}

export function pick<T>(random: () => number, items: readonly T[]): T {
  return items[Math.floor(random() * items.length)] as T
}
