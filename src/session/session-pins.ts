import { PIN } from '../memory/client-slots.ts'
import type { SqlStatement } from './sql-statement.ts'

/** Pins that nothing the client says can end. */
const LIFELONG = PIN.sessionMode | PIN.console | PIN.replication
/** Pins whose reason the server can be asked about. */
const REVIEWABLE =
  PIN.temporaryObject |
  PIN.advisoryLock |
  PIN.holdCursor |
  PIN.listen |
  PIN.sqlPrepare |
  PIN.unknownFunction |
  PIN.undecidedStatement
/** Pins by what may have changed settings that no question finds. */
const OPAQUE = PIN.unknownFunction | PIN.undecidedStatement

const NO_STATEMENTS: readonly SqlStatement[] = []

/** Is told why the session must keep its server connection, in PIN bits, whenever that changes. */
export interface PinWatcher {
  onPins(bits: number): void
}

/** What is to be known of pins besides which there are. */
export interface PinsSnapshot {
  readonly ending: number
  readonly endings: number
  readonly reviewed: number
  readonly sinceReview: number
  readonly isUnanswered: boolean
  readonly isOpaque: boolean
  readonly isFreed: boolean
}

/** Why a session must keep its server connection, as PIN bits, and what may end that. */
export class SessionPins {
  readonly #watcher: PinWatcher
  #bits = 0
  /** What was sent ends these when it succeeds, and how many statements of that kind have been sent. */
  #ending = 0
  #endings = 0
  /** The server is being asked about these; for the others there was reason since it was asked. */
  #reviewed = 0
  #sinceReview = 0
  /** PIN.setting is only there because the server did not answer. */
  #isUnanswered = false
  #isOpaque = false
  #isFreed = false
  #statements = NO_STATEMENTS

  constructor(watcher: PinWatcher) {
    this.#watcher = watcher
  }

  /** Null: nothing but `bits`. */
  get snapshot(): PinsSnapshot | null {
    if (this.#ending === 0 && this.#reviewed === 0 && !this.#isUnanswered && !this.#isOpaque && !this.#isFreed)
      return null
    return {
      ending: this.#ending,
      endings: this.#endings,
      reviewed: this.#reviewed,
      sinceReview: this.#sinceReview,
      isUnanswered: this.#isUnanswered,
      isOpaque: this.#isOpaque,
      isFreed: this.#isFreed,
    }
  }

  /** As another process had them. */
  restore(bits: number, snapshot: PinsSnapshot | null): void {
    this.#bits = bits
    if (snapshot === null) return
    this.#ending = snapshot.ending
    this.#endings = snapshot.endings
    this.#reviewed = snapshot.reviewed
    this.#sinceReview = snapshot.sinceReview
    this.#isUnanswered = snapshot.isUnanswered
    this.#isOpaque = snapshot.isOpaque
    this.#isFreed = snapshot.isFreed
  }

  get bits(): number {
    return this.#bits
  }

  /** Something was run on this server connection that may have changed settings which no question finds. */
  get isOpaque(): boolean {
    return this.#isOpaque
  }

  /** Prepared in SQL, as far as the last answer says. */
  get statements(): readonly SqlStatement[] {
    return this.#statements
  }

  /** The server can tell whether the reasons are gone, all of them. */
  get isReviewable(): boolean {
    const bits = this.#isUnanswered ? this.#bits & ~PIN.setting : this.#bits
    return this.#bits !== 0 && (bits & ~REVIEWABLE) === 0
  }

  add(bits: number): void {
    this.#sinceReview |= bits
    this.#ending &= ~bits
    if ((bits & OPAQUE) !== 0) this.#isOpaque = true
    if ((bits & PIN.setting) !== 0) this.#isUnanswered = false
    this.#set(this.#bits | bits)
  }

  remove(bits: number): void {
    this.#set(this.#bits & ~bits)
  }

  /** What ends these is sent, or bound to be executed; `ended` follows when it has succeeded. */
  end(bits: number): void {
    this.#ending |= bits
    this.#endings++
  }

  /** DISCARD ALL is sent. */
  endAll(): void {
    this.end(~LIFELONG)
  }

  /** One of those has succeeded, whatever becomes of the rest. Of several on their way only the last one counts. */
  ended(): void {
    if (this.#endings !== 1) {
      if (this.#endings > 0) this.#endings--
      return
    }
    const ending = this.#ending
    this.settle()
    if (ending === ~LIFELONG) this.#isOpaque = false
    this.remove(ending)
  }

  /** Something has failed: what ends pins may have been skipped. */
  fail(): void {
    this.settle()
  }

  /** Everything sent is answered: what has not ended by now does not end. */
  settle(): void {
    this.#ending = 0
    this.#endings = 0
  }

  /** The server connection still hides what the session has made there before. */
  becomeOpaque(): void {
    this.#isOpaque = true
  }

  /** The server connection is given back, or gone. Returns `isOpaque`. */
  leave(): boolean {
    const isOpaque = this.#isOpaque
    this.#isOpaque = false
    this.settle()
    return isOpaque
  }

  /** Something is run that may end a reason. */
  free(): void {
    this.#isFreed = true
  }

  /** Whether there was any since the last time. */
  takeFreed(): boolean {
    const freed = this.#isFreed
    this.#isFreed = false
    return freed
  }

  /** The server is asked what lies in it. */
  review(): void {
    this.#reviewed = this.#bits & REVIEWABLE
    this.#sinceReview = 0
  }

  /** It has not answered, be it this or what else it was asked. */
  unanswered(): void {
    this.#reviewed = 0
    if ((this.#bits & PIN.setting) !== 0) return
    this.add(PIN.setting)
    this.#isUnanswered = true
  }

  /** It has answered that these lie in it; `about`: those that it can tell. `statements`: prepared there in SQL, if that was asked. */
  answered(found: number, about: number, statements: readonly SqlStatement[] = NO_STATEMENTS): void {
    this.#statements = statements
    const gone = this.#reviewed & about & ~found & ~this.#sinceReview
    this.#reviewed = 0
    const unanswered = this.#isUnanswered ? PIN.setting : 0
    this.#isUnanswered = false
    this.#set((this.#bits & ~gone & ~unanswered) | (found & about))
  }

  #set(bits: number): void {
    if (bits === this.#bits) return
    this.#bits = bits
    this.#watcher.onPins(bits)
  }
}
