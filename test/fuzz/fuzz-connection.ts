import { type LoginOptions, type WireAddress, WireClient, WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import type { WireMessage } from '../support/wire-message.ts'
import { WireClosed } from '../support/wire-stream.ts'
import { answersTo, encodeFrame, type Frame, unsynced } from './frame.ts'
import type { Leave, Step } from './program.ts'
import { sqlOf } from './statement.ts'

/** An answer that does not come within this is a difference; nothing in a program waits for another client. */
const ANSWER_TIMEOUT_MS = 3_000

/** What ended a connection that the program did not end. */
export type Outcome = 'answered' | 'closed' | 'silent'

/**
 * One client of a program: performs steps, returns the messages that answer them. Notifications are put aside, because
 * when they come is not fixed.
 */
export class FuzzConnection {
  readonly #client: WireClient
  readonly #number: number
  /** Messages so far that nobody has asked for; taken by the caller. */
  readonly notifications: WireMessage[] = []
  /** Transaction status of the last ReadyForQuery. */
  status = ''
  /** An extended query waits for its Sync. */
  isOpen = false
  /** … and had an error, so that everything up to Sync is skipped. */
  #isSkipping = false
  outcome: Outcome = 'answered'

  private constructor(client: WireClient, number: number) {
    this.#client = client
    this.#number = number
    client.timeoutMs = ANSWER_TIMEOUT_MS
  }

  /** Connects client `number`; a refused login gives no connection, but its messages. */
  static async open(address: WireAddress, login: LoginOptions, number: number) {
    const client = await WireClient.connect(address)
    const connection = new FuzzConnection(client, number)
    try {
      const messages = await client.login(login)
      connection.status = messages.at(-1)!.body.toString('latin1')
      return { connection, messages }
    } catch (error) {
      client.close()
      if (error instanceof WireError) return { connection: null, messages: [error.response] }
      throw error
    }
  }

  get processId(): number {
    return this.#client.cancelPid
  }

  /** Sends what the step says and reads all of its answers. What comes instead is in `outcome`. */
  async perform(step: Step): Promise<WireMessage[]> {
    const messages: WireMessage[] = []
    try {
      await this.#perform(step, messages)
    } catch (error) {
      this.outcome = error instanceof WireClosed ? 'closed' : 'silent'
    }
    return messages
  }

  /** Sync outside of a transaction: whoever has been notified of something gets that first. */
  async barrier(): Promise<WireMessage[]> {
    return await this.perform({ kind: 'extended', frames: [{ type: 'sync' }] })
  }

  /** Waits until so many notifications are there, or none comes any more. */
  async notified(count: number): Promise<void> {
    while (this.notifications.length < count && this.outcome === 'answered') {
      try {
        await this.#next([])
      } catch {
        return
      }
    }
  }

  /** Harmless when the connection has ended already. */
  close(): void {
    this.#client.close()
  }

  async #perform(step: Step, messages: WireMessage[]): Promise<void> {
    switch (step.kind) {
      case 'queries':
        if (this.isOpen) await this.#synchronise(messages)
        this.#client.send(...step.statements.map(({ sql }) => wire.query(sqlOf(sql, this.#number))))
        for (const _ of step.statements) await this.#until('Z', messages)
        return
      case 'extended':
        await this.#extended(step.frames, messages)
        return
      case 'copyIn':
        if (this.isOpen) await this.#synchronise(messages)
        await this.#copyIn(step, messages)
        return
      case 'leave':
        await this.#leave(step.how, messages)
    }
  }

  async #synchronise(messages: WireMessage[]): Promise<void> {
    this.#client.send(wire.sync())
    await this.#until('Z', messages)
  }

  async #extended(frames: readonly Frame[], messages: WireMessage[]): Promise<void> {
    this.#client.send(...frames.map((frame) => encodeFrame(frame, this.#number)))
    for (const { type } of frames) if (type === 'sync') await this.#until('Z', messages)
    const open = unsynced(frames)
    if (open.length === 0) return
    this.isOpen = true
    let left = answersTo(open)
    while (left > 0 && !this.#isSkipping) {
      const { type } = await this.#next(messages)
      if (type === 'E') this.#isSkipping = true
      if ('123TnCsI'.includes(type)) left -= 1
    }
  }

  async #copyIn(step: Extract<Step, { kind: 'copyIn' }>, messages: WireMessage[]): Promise<void> {
    const end = step.ending === 'done' ? wire.copyDone() : wire.copyFail('not today')
    const data = [...step.chunks.map((chunk) => wire.copyData(sqlOf(chunk, this.#number))), end]
    const query = wire.query(sqlOf(step.statement.sql, this.#number))
    if (step.eager) this.#client.send(query, ...data)
    else {
      this.#client.send(query)
      if ((await this.#until('GZ', messages)) === 'Z') return
      this.#client.send(...data)
    }
    await this.#until('Z', messages)
  }

  async #leave(how: Leave, messages: WireMessage[]): Promise<void> {
    if (how === 'reset') {
      this.#client.reset()
      return
    }
    if (how === 'terminate') this.#client.send(wire.terminate())
    else this.#client.endWriting()
    const last = await this.#client.untilClosed()
    messages.push(...last.messages.filter(({ type }) => type !== 'A' && type !== 'S'))
    this.#client.close()
  }

  async #until(types: string, messages: WireMessage[]): Promise<string> {
    for (;;) {
      const { type } = await this.#next(messages)
      if (types.includes(type)) return type
    }
  }

  async #next(messages: WireMessage[]): Promise<WireMessage> {
    const message = await this.#client.next()
    if (message.type === 'A') this.notifications.push(message)
    else messages.push(message)
    if (message.type === 'Z') {
      this.status = message.body.toString('latin1')
      this.isOpen = false
      this.#isSkipping = false
    }
    return message
  }
}
