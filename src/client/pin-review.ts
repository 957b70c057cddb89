import { Timer } from '../util/timer-wheel.ts'
import type { ClientHost } from './client-host.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionState } from './session-state.ts'

/** A session is left alone this long after its transaction, unless others wait for its server connection. */
const FIRST_MS = 20
/** After a question that has changed nothing, the next one is put off for longer and longer. */
const SLOWER = 4
const LONGEST_MS = 5000
/** What functions do changes rarely. */
const SCAN_EVERY_MS = 600_000

/** The session that is reviewed. */
export interface ReviewedSession {
  readonly settings: SessionState
  readonly seat: ServerSeat
  readonly requests: RequestRelay
}

/**
 * Asks the server of a pinned session, while nothing else is going on, whether the reasons for the pins are still there.
 * The session goes on as it likes meanwhile; what it sends is answered behind the question.
 */
export class PinReview {
  readonly #host: ClientHost
  readonly #session: ReviewedSession
  #timer: Timer | null = null
  #delay = FIRST_MS
  #notBefore = 0

  constructor(host: ClientHost, session: ReviewedSession) {
    this.#host = host
    this.#session = session
  }

  /** A transaction has ended, and something pins the session. */
  rest(): void {
    const { settings, seat } = this.#session
    if (!settings.isReviewable) return
    const { now, timers } = this.#host
    if (settings.takeFreed()) {
      this.#delay = FIRST_MS
      this.#notBefore = 0
    }
    if (seat.isWanted && now >= this.#notBefore) {
      this.#ask()
      return
    }
    this.#timer ??= new Timer(() => this.#wake())
    timers.arm(this.#timer, Math.max(now + FIRST_MS, this.#notBefore))
  }

  /** The question is answered. */
  answered(): void {
    const isPinned = this.#session.settings.pins !== 0
    this.#notBefore = isPinned ? this.#host.now + this.#delay : 0
    this.#delay = isPinned ? Math.min(this.#delay * SLOWER, LONGEST_MS) : FIRST_MS
    if (isPinned) this.rest()
  }

  /** The session is over. */
  stop(): void {
    if (this.#timer !== null) this.#host.timers.disarm(this.#timer)
  }

  #wake(): void {
    const { settings, seat, requests } = this.#session
    const { server } = seat
    const isIdle = server !== null && server.queue.length === 0 && !server.inTransaction && !requests.midMessage
    if (isIdle && settings.isReviewable) this.#ask()
  }

  #ask(): void {
    const { settings, seat } = this.#session
    const { server } = seat
    if (server === null) return
    const { now } = this.#host
    const scan = settings.isOpaque && now - server.scannedAt > SCAN_EVERY_MS
    if (scan) server.scannedAt = now
    if (!server.relay.questions.inquire(settings.review(scan))) server.lose(server.link.failure, null)
  }
}
