import type { ErrorFields } from '../protocol/messages.ts'
import type { TierPolicy, TierRule } from '../shard/policy.ts'
import { Timer } from '../util/timer-wheel.ts'
import { type ClientHost, ERROR, FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'

/** How long last words may take. */
const LAST_WORDS_MS = 5000
/** The same while the whole plane waits for it. */
const DRAINING_LAST_WORDS_MS = 200
/** How long a client that has said goodbye may take to read the answer to what it asked before. */
const LAST_ANSWER_MS = 60_000
const WAITED_TOO_LONG = 'no server connection became free in time (query_wait timeout)'
const WAIT_HINT = 'raise pool.size or timeouts.query_wait, or lower the load'
const AWAY_HINT = 'try again in a moment; SHOW SHARDS and SHOW STATE at the console tell what is wrong'

/** SQLSTATE of a failed connection to a shard. */
const UNREACHABLE = '08001'

/** What the session is doing, which has to end in time. */
type Purpose = 'none' | 'login' | 'welcome' | 'idle' | 'waiting' | 'querying' | 'in-transaction' | 'last-words'

/**
 * The one deadline a session has at any moment. It changes with every step of a transaction, so arming one that is
 * switched off costs nothing: the usual case on the forward path.
 */
export class SessionDeadlines {
  readonly #host: ClientHost
  readonly #session: ClientSession
  #timer: Timer | null = null
  #purpose: Purpose = 'none'

  constructor(host: ClientHost, session: ClientSession) {
    this.#host = host
    this.#session = session
  }

  login(): void {
    this.#arm('login', this.#host.timeouts.clientLoginMs)
  }

  /** Logging in needs a server connection. */
  welcome(): void {
    const { queryWaitMs, clientLoginMs } = this.#host.timeouts
    this.#arm('welcome', queryWaitMs || clientLoginMs)
  }

  idle(): void {
    this.#arm('idle', this.#host.timeouts.clientIdleMs)
  }

  waiting(): void {
    const queueWaitMs = this.#rule()?.queueWaitMs ?? this.#tier().queueWaitMs
    const limitMs = queueWaitMs || this.#host.timeouts.queryWaitMs
    // Some of it may have passed in a process before this one.
    const waitedMs = this.#host.now - this.#session.meter.waitingSince
    this.#arm('waiting', limitMs === 0 ? 0 : Math.max(1, limitMs - waitedMs))
  }

  /** The stricter one of what it, or its tier, and everybody may take. */
  querying(): void {
    const rule = this.#rule()
    const tier = this.#tier()
    const transactionMs = rule?.transactionMs ?? tier.transactionMs
    const query = shorter(rule?.queryMs ?? tier.queryMs, this.#host.timeouts.queryMs)
    this.#arm('querying', transactionMs === 0 ? query : shorter(query, this.#left(transactionMs)))
  }

  inTransaction(): void {
    const transactionMs = this.#transactionMs()
    const { idleTransactionMs } = this.#host.timeouts
    this.#arm(
      'in-transaction',
      transactionMs === 0 ? idleTransactionMs : shorter(idleTransactionMs, this.#left(transactionMs)),
    )
  }

  /** `isAnswer`: nothing but the answer to what it asked is still on its way. */
  lastWords(isAnswer: boolean): void {
    const mostMs = isAnswer ? LAST_ANSWER_MS : LAST_WORDS_MS
    this.#arm('last-words', this.#host.draining ? DRAINING_LAST_WORDS_MS : mostMs)
  }

  /** Nothing has to end for a long time: an idle client costs no timer. */
  rest(): void {
    this.stop()
    this.#timer = null
    this.idle()
  }

  stop(): void {
    this.#purpose = 'none'
    if (this.#timer !== null) this.#host.timers.disarm(this.#timer)
  }

  /** Of a limit to the transaction at hand; 1 when it is used up. */
  #left(transactionMs: number): number {
    return Math.max(1, transactionMs - (this.#host.now - this.#session.meter.transactionAt))
  }

  #transactionMs(): number {
    return this.#rule()?.transactionMs ?? this.#tier().transactionMs
  }

  /** What the operator says of this client in particular. Not a getter, as below. */
  #rule(): TierRule | null {
    return this.#host.ruleOf(this.#session.slot)
  }

  /** Not a getter: V8 finds private ones through its runtime, however hot the code. */
  #tier(): TierPolicy {
    return this.#host.values.policy.tiers[this.#session.seat.tier] as TierPolicy
  }

  #arm(purpose: Purpose, milliseconds: number): void {
    if (milliseconds === 0) {
      // Until its next request, which mostly comes soon.
      if (this.#purpose !== 'none' && this.#timer !== null) this.#host.timers.suspend(this.#timer)
      this.#purpose = 'none'
      return
    }
    this.#purpose = purpose
    this.#timer ??= this.#newTimer()
    this.#host.timers.arm(this.#timer, this.#host.now + milliseconds)
  }

  /** Apart from `#arm`, which would make room for what the arrow refers to with each call. */
  #newTimer(): Timer {
    return new Timer(() => this.#expire())
  }

  #expire(): void {
    const session = this.#session
    const purpose = this.#purpose
    this.#purpose = 'none'
    switch (purpose) {
      case 'none':
        break
      case 'login':
        this.#host.countPlane('loginFailures')
        session.close(
          'client_login timeout',
          FATAL('08P01', 'the login was not completed in time', 'timeouts.client_login'),
        )
        break
      case 'welcome': {
        const fields = this.#noServer()
        session.close(fields.message, { ...fields, severity: 'FATAL' })
        break
      }
      case 'idle':
        session.close('client_idle timeout', FATAL('57P05', 'terminating connection due to idle-session timeout'))
        break
      case 'waiting':
        session.meter.waitTimedOut()
        session.seat.noteTimedOut()
        session.rejectRequest({ ...this.#noServer(), severity: 'ERROR' })
        break
      case 'querying':
        if (session.server) this.#host.signals.cancelServer(session.server)
        break
      case 'in-transaction':
        this.#endTransaction()
        break
      case 'last-words':
        session.finish()
        break
    }
  }

  #endTransaction(): void {
    const transactionMs = this.#transactionMs()
    if (transactionMs > 0 && this.#left(transactionMs) === 1) {
      this.#session.close('transaction timeout', FATAL('25P04', 'terminating connection due to transaction timeout'))
    } else {
      this.#session.close(
        'idle_transaction timeout',
        FATAL('25P03', 'terminating connection due to idle-in-transaction timeout'),
      )
    }
  }

  /** Why there is no server connection, if that is known. */
  #noServer(): ErrorFields {
    const { seat, greeting } = this.#session
    const { pool } = seat
    // Why that has no server connection for it, if that is known.
    const { poolFailure } = greeting ?? seat
    if (poolFailure !== null && poolFailure.sqlstate !== UNREACHABLE) return poolFailure
    const why = poolFailure?.message ?? (greeting === null ? whyAway(pool) : null)
    if (why === null) return ERROR('53300', WAITED_TOO_LONG, WAIT_HINT)
    return ERROR('57P03', `the shard did not come back in time (query_wait timeout): ${why}`, AWAY_HINT)
  }
}

/** Why nobody gets a server connection at the moment; null: because others have them. */
function whyAway(pool: { readonly paused: boolean } | null): string | null {
  if (pool === null) return 'its group has no primary'
  return pool.paused ? 'it is paused, or an operation is at work on it' : null
}

/** Of two limits, each of which 0 switches off. */
function shorter(one: number, other: number): number {
  return one === 0 || other === 0 ? one + other : Math.min(one, other)
}
