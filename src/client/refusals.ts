import { FRONTEND } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { RequestSession } from './request-session.ts'

const writer = new MessageWriter()

/** Answers to requests in place of a server: an error for a whole query, silence for the rest of an extended one. */
export class Refusals {
  readonly #session: RequestSession
  #fields: ErrorFields | null = null
  /** An extended query was refused: everything up to its Sync is ignored. */
  #ignoringToSync = false

  constructor(session: RequestSession) {
    this.#session = session
  }

  /** The next message is to be answered here. */
  get any(): boolean {
    return this.#fields !== null || this.#ignoringToSync
  }

  /** The next request gets this error; the client stays. */
  reject(fields: ErrorFields): void {
    this.#fields = fields
  }

  /** Whether what follows, up to a Sync, belongs to what was refused already. */
  ignoreToSync(ignore: boolean): void {
    this.#ignoringToSync = ignore
  }

  /** A message of this type, which is not Terminate. */
  answer(type: number): void {
    const session = this.#session
    if (this.#ignoringToSync) {
      if (type !== FRONTEND.sync) return
      this.#ignoringToSync = false
      writeReady(writer.reset(), session.idleStatus)
      session.send(writer.bytes)
      return
    }
    writeError(writer.reset(), this.#fields as ErrorFields)
    this.#fields = null
    if (type === FRONTEND.query || type === FRONTEND.functionCall || type === FRONTEND.sync) {
      writeReady(writer, session.idleStatus)
    } else this.#ignoringToSync = true
    session.send(writer.bytes)
  }
}
