import { type LoginOptions, type WireAddress, WireClient } from './wire-client.ts'
import * as wire from './wire-frames.ts'
import { sqlstatesOf, type WireMessage } from './wire-message.ts'

/** An answer of a load's client was an error. */
export class LoadFailure extends Error {
  readonly sqlstate: string
  /** The statement that it answered. */
  readonly during: string
  constructor(answer: WireMessage, during: string) {
    super(answer.fields.M ?? '')
    this.sqlstate = answer.sqlstate
    this.during = during
  }
}

/** One connection of the load. */
export class LoadClient {
  readonly wire: WireClient
  /** What this connection is to have, by the kind of its work. */
  readonly memory = new Map<string, string>()
  /** The longest wait for one answer. */
  worstMs = 0

  private constructor(client: WireClient) {
    this.wire = client
    client.timeoutMs = 60_000
  }

  static async open(address: WireAddress, login: LoginOptions, tls: boolean): Promise<LoadClient> {
    const client = await WireClient.connect(address)
    if (tls) await client.requestTls()
    await client.login(login)
    return new LoadClient(client)
  }

  close(): void {
    this.wire.close()
  }

  /** A simple query. Throws LoadFailure for an error. */
  async ask(sql: string): Promise<WireMessage[]> {
    return await this.timed(sql, wire.query(sql), 1)
  }

  /** The same for frames with so many ReadyForQuery in their answer. */
  async timed(what: string, frames: Buffer, count: number): Promise<WireMessage[]> {
    const began = performance.now()
    return this.judge(what, await this.wire.exchange(frames, count), began)
  }

  judge(what: string, answer: WireMessage[], began: number): WireMessage[] {
    this.worstMs = Math.max(this.worstMs, performance.now() - began)
    const error = answer.find(({ type }) => type === 'E')
    if (error !== undefined && sqlstatesOf(answer).length > 0) throw new LoadFailure(error, what)
    return answer
  }
}
