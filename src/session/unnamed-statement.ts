import type { Effects } from '../sql/statement-effects.ts'
import type { StatementRegistry } from './prepared-statements.ts'

/** A server connection's unnamed statement is none of its session's; whose it is, or whether there is one, nobody knows. */
export const UNKNOWN_OWNER = -1

/** What it was before a message that changes it. */
interface Earlier {
  readonly tail: Buffer | null
  readonly effects: Effects | null
  /** Whose the server connection's was. */
  readonly owner: number
}

const NONE: Earlier = { tail: null, effects: null, owner: 0 }
const UNKNOWN: Earlier = { tail: null, effects: null, owner: UNKNOWN_OWNER }

/**
 * A session's unnamed prepared statement: what it is once everything that was sent has succeeded, and what it was before, for
 * the case that an error skips the messages that were to change it.
 */
export class UnnamedStatement {
  readonly #registry: StatementRegistry
  /** Text, NUL and parameter types; of a long one `StatementRegistry.reserve`'s. */
  #tail: Buffer | null = null
  #isLong = false
  /** What executing it does to the session; null: nothing. */
  effects: Effects | null = null
  /** Changes with every change. */
  version = 0
  /** Messages that change it and are not answered yet. */
  #pending = 0
  /** What it was before the first of these, and whose the server connection's was then. */
  #tailBefore: Buffer | null = null
  #effectsBefore: Effects | null = null
  #ownerBefore = 0
  /** The same for the others of these; null: there are none. */
  #others: Earlier[] | null = null
  /** Not in use any more: most clients prepare the same few texts again and again. */
  #spare: Buffer | null = null

  constructor(registry: StatementRegistry) {
    this.#registry = registry
  }

  /** Null: there is none, or it is too long to be kept in a session's memory. */
  get tail(): Buffer | null {
    return this.#isLong ? null : this.#tail
  }

  /** There is one, or may be one. */
  get isThere(): boolean {
    return this.#tail !== null || this.#isLong
  }

  /** The same of a long one, too; null: there is none, or its text was not kept. */
  get text(): Buffer | null {
    return this.#tail
  }

  get isLong(): boolean {
    return this.#isLong
  }

  /** It is `bytes[start, stop)` as it is: text, NUL, parameter types. */
  is(bytes: Uint8Array, start: number, stop: number): boolean {
    const { tail } = this
    if (tail === null || tail.length !== stop - start) return false
    for (let at = 0; at < tail.length; at++) if (tail[at] !== bytes[start + at]) return false
    return true
  }

  /** As another process has had it; `pending` messages that change it are not answered. */
  restore(tail: Buffer | null, effects: Effects | null, isLong: boolean, pending: number): void {
    this.#isLong = isLong
    this.#pending = pending
    this.#ownerBefore = UNKNOWN_OWNER
    if (pending > 1) this.#others = new Array<Earlier>(pending - 1).fill(UNKNOWN)
    if (tail === null) return
    this.#tail = Buffer.from(tail)
    this.effects = effects
    this.version++
  }

  /** A message that changes it is about to be sent to a server connection whose unnamed statement is `owner`'s. */
  begin(owner: number): void {
    const { tail, effects } = this
    const isKnown = !this.#isLong
    if (this.#pending++ > 0) {
      this.#others ??= []
      this.#others.push(isKnown ? { tail, effects, owner } : UNKNOWN)
      return
    }
    this.#spare = this.#tailBefore
    this.#noteBefore(tail, effects, isKnown ? owner : UNKNOWN_OWNER)
  }

  /** It is this one now. */
  keep(tail: Buffer, effects: Effects | null): void {
    const copy = this.#copyOf(tail)
    this.#become(copy, effects)
  }

  /** The same for one whose text is about to be put into `tail`; null: it cannot be kept. */
  keepLong(tail: Buffer | null): void {
    this.#become(tail, null)
    this.#isLong = true
  }

  /** There is none. */
  drop(): void {
    if (this.isThere) this.#become(null, null)
  }

  /** A simple query drops it, whose answer nothing here is told of. `isCertain`: no error before it can skip it. */
  forget(isCertain: boolean): void {
    this.drop()
    if (this.#pending === 0) return
    this.#noteBefore(null, null, isCertain ? 0 : UNKNOWN_OWNER)
    this.#others?.fill(isCertain ? NONE : UNKNOWN)
  }

  /** The oldest message that changes it has been answered. */
  answered(): void {
    const next = this.#next()
    if (next !== null) this.#noteBefore(next.tail, next.effects, next.owner)
  }

  /** The oldest one, a Parse, has failed, which drops it. Returns whose the server connection's is; null: as later ones have it. */
  failed(): number | null {
    if (this.#next() !== null) {
      this.#noteBefore(null, null, 0)
      return null
    }
    this.#become(null, null)
    return 0
  }

  /** The oldest one was skipped. Returns whose the server connection's is; null: as later ones have it. */
  skipped(): number | null {
    if (this.#next() !== null) return null
    this.#become(this.#tailBefore, this.#effectsBefore)
    return this.#ownerBefore
  }

  /** The oldest one is not pending any more. Returns what it was before the next one; null: there is none. */
  #next(): Earlier | null {
    this.#pending--
    return this.#pending > 0 ? (this.#others?.shift() ?? UNKNOWN) : null
  }

  /** The server connection is gone with all messages. */
  abandon(): void {
    this.#pending = 0
    this.#others = null
  }

  #noteBefore(tail: Buffer | null, effects: Effects | null, owner: number): void {
    this.#tailBefore = tail
    this.#effectsBefore = effects
    this.#ownerBefore = owner
  }

  #become(tail: Buffer | null, effects: Effects | null): void {
    if (this.#isLong && this.#tail !== null) this.#registry.free(this.#tail)
    this.#isLong = false
    this.#tail = tail
    this.effects = effects
    this.version++
  }

  /** In a buffer that is not in use, where one fits. */
  #copyOf(tail: Buffer): Buffer {
    const own = this.tail
    const before = this.#tailBefore
    const spare = this.#spare
    if (this.#pending > 1) return Buffer.from(tail)
    if (own !== null && own !== before && own.length === tail.length) return fill(own, tail)
    this.#spare = null
    const isFree = spare !== null && spare !== own && spare !== before
    return isFree && spare.length === tail.length ? fill(spare, tail) : Buffer.from(tail)
  }
}

function fill(buffer: Buffer, tail: Buffer): Buffer {
  tail.copy(buffer)
  return buffer
}
