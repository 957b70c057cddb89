import { isUnpacked, relocation, safePoint } from '../continuity/safe-point.ts'
import type { Deferrable } from '../io/deferred.ts'
import { pinReasons } from '../memory/client-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { FACT } from '../sql/statement-effects.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import type { ClientReader } from './client-reader.ts'
import type { ClientSlot } from './client-slot.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionDeadlines } from './session-deadlines.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionState } from './session-state.ts'

/** What could not be moved is not asked about again for so long: whoever wants the server connection back has it by then. */
const REFUSED_MS = 1000

/** The session that moves. */
export interface MovingSession {
  readonly memory: ClientSlot
  readonly settings: SessionState
  readonly seat: ServerSeat
  readonly requests: RequestRelay
  readonly reader: ClientReader
  readonly deadlines: SessionDeadlines
  readonly listening: SessionListening | null
  /** Has no server connection now. */
  rest(): void
  close(reason: string, fields: ErrorFields | null): void
}

/**
 * - home: it is where it is, with or without a server connection.
 * - leaving: the server is being asked what of the session lies in it.
 * - arriving: on another server connection what it had is made again, and then looked for.
 *
 * Between leaving and arriving it is at home without a server connection, like any session at rest: what it has with it is in
 * `settings.luggage`.
 */
type Step = 'home' | 'leaving' | 'arriving'

/** Takes a pinned session from one server connection to another, if all of its state can be had again there. */
export class SessionRelocation implements Deferrable {
  readonly #host: ClientHost
  readonly #session: MovingSession
  #step: Step = 'home'
  /** It was asked in vain: not again before this. */
  #notBefore = 0
  isDeferred = false

  constructor(host: ClientHost, session: MovingSession) {
    this.#host = host
    this.#session = session
  }

  /** Its server connection is wanted back. False: it cannot leave it. */
  leave(): boolean {
    const { settings, seat, requests, reader, listening } = this.#session
    const { server } = seat
    if (server === null || this.#step !== 'home') return true
    const point = safePoint({
      isInTransaction: server.inTransaction || settings.transaction.deferredBegin !== null,
      isOwed: server.queue.length > 0,
      isMidRequest: requests.midMessage || reader.isStalled,
      isChangingChannels: listening?.isConcerned === true,
      pins: settings.pins,
    })
    if (point.kind === 'moves' || point.kind === 'waits') return true
    const mayAsk = point.kind === 'asks' && settings.parameters !== null && this.#host.now >= this.#notBefore
    if (!mayAsk) return false
    this.#step = 'leaving'
    if (!server.relay.questions.inquire(settings.inspect())) server.lose(server.link.failure, null)
    return true
  }

  /** It has a server connection, and is to have there what it has with it. */
  arrive(): void {
    this.#host.deferred.add(this)
  }

  /** It was arriving in another process. */
  restore(): void {
    if (this.#session.settings.values.isAsking) this.#step = 'arriving'
    else this.arrive()
  }

  runDeferred(): void {
    const { settings, seat, deadlines } = this.#session
    const { server } = seat
    const { luggage } = settings
    if (server === null || luggage === null || this.#step === 'arriving') return
    this.#step = 'arriving'
    deadlines.querying()
    const { questions } = server.relay
    const isSent =
      seat.settleIn() &&
      // What the server connection's last session had of them is not this one's.
      questions.ask('DISCARD SEQUENCES') &&
      luggage.statements.every(({ text }) => questions.ask(text)) &&
      questions.inquire(settings.inspect())
    if (!isSent) server.lose(server.link.failure, null)
  }

  onFault(error: unknown): void {
    throw error
  }

  /** What makes the session's state again has failed, at whatever point. True: the session is over. */
  failed(failure: ErrorFields): boolean {
    if (this.#step !== 'arriving') return false
    this.#giveUp(failure.message)
    return true
  }

  /** Its server connection is gone. What it had with it, it has still. */
  onServerLost(): void {
    this.#step = 'home'
  }

  /** The question is answered, and `settings` knows what was found. True: nothing is to be done about it any more. */
  answered(before: object | null): boolean {
    const step = this.#step
    this.#step = 'home'
    if (step === 'leaving') return this.#depart()
    if (step === 'arriving') return this.#unpack(before)
    return false
  }

  #depart(): boolean {
    const { settings, seat, requests, reader } = this.#session
    const { server } = seat
    if (server === null || settings.pins === 0) return false
    // It has gone on meanwhile, and can be asked again when it rests.
    const isBusy = server.queue.length > 0 || server.inTransaction || settings.transaction.deferredBegin !== null
    if (isBusy || requests.midMessage || reader.isStalled) return false
    const verdict = relocation(settings.pins, settings.sqlStatements, (text) => this.#isLone(text))
    if (verdict.kind === 'stays') {
      this.#notBefore = this.#host.now + REFUSED_MS
      this.#host.log('debug', 'a session cannot be moved', { reason: verdict.reason })
      return false
    }
    settings.pack(verdict.luggage)
    this.#session.memory.relocated()
    seat.depart()
    this.#session.rest()
    return true
  }

  /** One PREPARE, in a text that any server understands as this one did. */
  #isLone(text: string): boolean {
    const { facts } = this.#host
    const bytes = Buffer.from(text)
    facts.read(bytes, 0, bytes.length)
    if ((facts.flags & FACT.several) !== 0 || !/^\s*prepare\s/i.test(text)) return false
    const encoding = this.#session.settings.parameters?.values.get('client_encoding') ?? 'UTF8'
    return encoding.toUpperCase() === 'UTF8' || bytes.length === text.length
  }

  /** `before`: the session's settings before the answer. */
  #unpack(before: object | null): boolean {
    const { settings, deadlines, reader } = this.#session
    const { luggage } = settings
    if (luggage === null) return false
    if (before !== settings.parameters || !isUnpacked(luggage, settings.pins, settings.sqlStatements)) {
      this.#giveUp('what was found there is not what it had')
      return true
    }
    settings.unpack()
    deadlines.idle()
    reader.resume()
    return true
  }

  #giveUp(cause: string): void {
    const { settings } = this.#session
    const state = pinReasons(settings.luggage?.pins ?? 0).join(', ')
    const message = `the session could not be moved to another server connection with its state (${state}): ${cause}`
    this.#step = 'home'
    this.#session.close(message, FATAL('08006', message))
  }
}
