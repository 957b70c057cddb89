import { type LoginOptions, sendCancel, WireClient, WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import type { WireMessage } from '../support/wire-message.ts'
import { WireClosed } from '../support/wire-stream.ts'
import { copyBytes } from './copy-in.ts'
import { answersTo, encodeFrame, type Frame, unsynced } from './frame.ts'
import type { Target } from './lane.ts'
import type { CopyIn, Request, Step } from './program.ts'
import { sqlOf } from './statement.ts'
import type { Opened } from './used-sessions.ts'

/** An answer that does not come within this is a difference; nothing in a program waits for another client. */
const ANSWER_TIMEOUT_MS = 10_000

/** What ended a connection that the program did not end. */
export type Outcome = 'answered' | 'closed' | 'silent'

type CancelledRequest = Extract<Step, { kind: 'cancel' }>['during']

const SLEEP = 'SELECT pg_sleep(60)'
/** Requests that sleep somewhere. */
const SLEEPING: Readonly<Record<Exclude<CancelledRequest, 'nothing'>, Buffer>> = {
  query: wire.query(SLEEP),
  several: wire.query(`SELECT 'before'; ${SLEEP}; SELECT 'after'`),
  extended: Buffer.concat([
    wire.parse('', "SELECT 'before'"),
    wire.bind('', ''),
    wire.execute(''),
    // It stays the unnamed statement, and with any other value does not sleep.
    wire.parse('', "SELECT pg_sleep(60 * ($1 = 'long')::int)"),
    wire.bind('', '', ['long']),
    wire.execute(''),
    wire.describe('P', ''),
    wire.sync(),
  ]),
}

/** Half of a message. */
const TORN = wire.query("SELECT 'all of it'").subarray(0, 12)

function encodeRequest(request: Request, client: number): Buffer {
  if (request.kind === 'extended') return Buffer.concat(request.frames.map((frame) => encodeFrame(frame, client)))
  return Buffer.concat(request.statements.map(({ sql }) => wire.query(sqlOf(sql, client))))
}

async function openNew({ address }: Target, login: LoginOptions): Promise<Opened> {
  const client = await WireClient.connect(address)
  try {
    return { client, messages: await client.login(login) }
  } catch (error) {
    client.close()
    throw error
  }
}

/** Nothing is on its way when the client leaves. */
export function isQuiet({ last, torn }: Extract<Step, { kind: 'leave' }>): boolean {
  return last === null && !torn
}

/** The error of a message that may not come during COPY, behind which the server ends the connection. */
function breaksCopy(message: WireMessage): boolean {
  return message.type === 'E' && /\(08P01 .* during COPY/.test(String(message))
}

/**
 * One client of a program: performs steps, returns the messages that answer them. Notifications are put aside, because
 * when they come is not fixed.
 */
export class FuzzConnection {
  readonly #client: WireClient
  readonly #number: number
  readonly #target: Target
  /** Messages so far that nobody has asked for; taken by the caller. */
  readonly notifications: WireMessage[] = []
  /** Transaction status of the last ReadyForQuery. */
  status = ''
  /** An extended query waits for its Sync. */
  isOpen = false
  /** … and had an error, so that everything up to Sync is skipped. */
  #isSkipping = false
  outcome: Outcome = 'answered'

  private constructor(client: WireClient, target: Target, number: number) {
    this.#client = client
    this.#target = target
    this.#number = number
    client.timeoutMs = ANSWER_TIMEOUT_MS
  }

  /** Connects client `number`; a refused login gives no connection, but its messages. */
  static async open(target: Target, login: LoginOptions, number: number) {
    try {
      const { client, messages } = await (target.used?.open(login) ?? openNew(target, login))
      const connection = new FuzzConnection(client, target, number)
      connection.status = messages.at(-1)!.body.toString('latin1')
      return { connection, messages }
    } catch (error) {
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
      // The last words of a connection that is about to be closed.
      while (messages.some(breaksCopy)) await this.#next(messages)
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
    if (this.#target.used === null) this.#client.close()
    else this.#target.used.forget(this.#client)
  }

  /** Ends a connection to which everything is answered. True: what it held has been let go of by now. */
  async giveBack(): Promise<boolean> {
    // A Sync would commit what only the client's own may.
    if (this.#target.used === null || this.isOpen) {
      this.close()
      return false
    }
    await this.#target.used.giveBack(this.#client, this.status === 'I')
    return true
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
      case 'call':
        if (this.isOpen) await this.#synchronise(messages)
        this.#client.send(wire.functionCall(step.oid, step.values))
        await this.#until('Z', messages)
        return
      case 'cancel':
        if (this.isOpen) await this.#synchronise(messages)
        await this.#cancel(step.during, messages)
        return
      case 'leave':
        await this.#leave(step, messages)
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

  async #copyIn(step: CopyIn, messages: WireMessage[]): Promise<void> {
    const { request, data, flush, end } = copyBytes(step, this.#number)
    const isSimple = step.protocol === 'simple'
    if (step.eager) this.#client.send(request, data, end)
    else this.#client.send(request, flush)
    const copies = (await this.#until(isSimple ? 'GZ' : 'GE', messages)) === 'G'
    if (!copies && isSimple) return
    if (copies && !step.eager) this.#client.send(data, end)
    if (!copies && !step.eager && !step.syncsEarly) this.#client.send(wire.sync())
    await this.#until('Z', messages)
    // Where nothing is copied, every Sync counts.
    if (!copies && step.eager && step.syncsEarly) await this.#until('Z', messages)
  }

  /** In a failed transaction nothing sleeps. */
  async #cancel(during: CancelledRequest, messages: WireMessage[]): Promise<void> {
    const sleeps = during !== 'nothing' && this.status !== 'E'
    if (during !== 'nothing') this.#client.send(SLEEPING[during])
    if (sleeps) await this.#target.sleeping()
    await sendCancel(this.#target.address, this.#client.cancelPid, this.#client.cancelKey)
    if (during !== 'nothing') await this.#until('Z', messages)
  }

  async #leave(step: Extract<Step, { kind: 'leave' }>, messages: WireMessage[]): Promise<void> {
    const { how, last, torn } = step
    // Nobody is told anything: the session can be used again.
    if (this.#target.used !== null && isQuiet(step)) return
    if (last !== null) this.#client.send(encodeRequest(last, this.#number))
    if (torn) this.#client.send(TORN)
    if (how === 'reset') {
      this.#client.reset()
      return
    }
    const isPolite = how === 'terminate' && !torn
    if (isPolite) this.#client.send(wire.terminate())
    else this.#client.endWriting()
    const answers = await this.#client.untilClosed()
    const isProbe = ({ type, strings }: WireMessage): boolean => type === 'S' && strings[0] === 'client_encoding'
    messages.push(...answers.messages.filter((message) => message.type !== 'A' && (isPolite || !isProbe(message))))
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
