import { FRONTEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { RequestSession } from './request-session.ts'

const writer = new MessageWriter()
const ROLLBACK = /^\s*(?:rollback|abort)\b/i
const COMMIT = /^\s*(?:commit|end)\b/i
/** Enough of a text to see its first word. */
const FIRST_WORD_BYTES = 64

/**
 * What another process needs to go on refusing: the error of the next request, null: none, and whether the rest up to
 * a Sync is ignored.
 */
export interface RefusalsSnapshot {
  readonly fields: ErrorFields | null
  readonly ignoringToSync: boolean
}

/** Answers to requests in place of a server: an error for a whole query, silence for the rest of an extended one. */
export class Refusals {
  readonly #session: RequestSession
  #fields: ErrorFields | null = null
  /** The error is that of a transaction that was lost while its client asked nothing: a ROLLBACK ends that as well. */
  #isOfTransaction = false
  /** An extended query was refused: everything up to its Sync is ignored. */
  #ignoringToSync = false

  constructor(session: RequestSession) {
    this.#session = session
  }

  /** Null: nothing is refused. */
  get snapshot(): RefusalsSnapshot | null {
    return this.any ? { fields: this.#fields, ignoringToSync: this.#ignoringToSync } : null
  }

  /** As another process had them. */
  restore({ fields, ignoringToSync }: RefusalsSnapshot): void {
    this.#fields = fields
    this.#ignoringToSync = ignoringToSync
  }

  /** The next message is to be answered here. */
  get any(): boolean {
    return this.#fields !== null || this.#ignoringToSync
  }

  /** The next request gets this error; the client stays. */
  reject(fields: ErrorFields): void {
    this.#fields = fields
    this.#isOfTransaction = false
  }

  /**
   * The same, for a transaction that is lost: whoever is not told by an error, which a notice is not, may take the ROLLBACK
   * that answers its COMMIT for success.
   */
  rejectTransaction(fields: ErrorFields): void {
    this.#fields = fields
    this.#isOfTransaction = true
  }

  /** Whether what follows, up to a Sync, belongs to what was refused already. */
  ignoreToSync(ignore: boolean): void {
    this.#ignoringToSync = ignore
  }

  /** A message, which is not Terminate, at `at`. False: it is not refused after all. */
  answer(bytes: Buffer, at: number, stop: number): boolean {
    const session = this.#session
    const type = bytes[at] as number
    if (this.#ignoringToSync) {
      if (type !== FRONTEND.sync) return true
      this.#ignoringToSync = false
      writeReady(writer.reset(), session.idleStatus)
      session.send(writer.bytes)
      return true
    }
    if (this.#isOfTransaction && this.#endsTransaction(type, bytes, at, stop)) return false
    writeError(writer.reset(), this.#fields as ErrorFields)
    this.#fields = null
    if (type === FRONTEND.query || type === FRONTEND.functionCall || type === FRONTEND.sync) {
      writeReady(writer, session.idleStatus)
    } else this.#ignoringToSync = true
    session.send(writer.bytes)
    return true
  }

  /** True: a ROLLBACK, which needs no error. A COMMIT fails, and ends the transaction as any that fails. */
  #endsTransaction(type: number, bytes: Buffer, at: number, stop: number): boolean {
    this.#isOfTransaction = false
    const start = type === FRONTEND.parse ? bytes.indexOf(0, at + HEADER_BYTES) + 1 : at + HEADER_BYTES
    if (type !== FRONTEND.query && type !== FRONTEND.parse) return false
    const text = bytes.toString('latin1', start, Math.min(stop, start + FIRST_WORD_BYTES))
    if (ROLLBACK.test(text)) {
      this.#fields = null
      return true
    }
    if (type === FRONTEND.query && COMMIT.test(text)) this.#session.settings.loseServer(false)
    return false
  }
}
