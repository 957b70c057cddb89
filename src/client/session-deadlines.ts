import type { ErrorFields } from '../protocol/messages.ts'
import { Timer } from '../util/timer-wheel.ts'
import { type ClientHost, ERROR, FATAL } from './client-host.ts'
import type { ClientSession } from './client-session.ts'

/** How long last words may take. */
const LAST_WORDS_MS = 5000
/** The same while the whole plane waits for it. */
const DRAINING_LAST_WORDS_MS = 200
const WAITED_TOO_LONG = 'no server connection became free in time (query_wait timeout)'
const WAIT_HINT = 'raise pool.size or timeouts.query_wait, or lower the load'

/**
 * The one deadline a session has at any moment: what it is for follows from what the session does. Arming is skipped
 * where the limit is off, which is the usual case on the forward path.
 */
export class SessionDeadlines {
  readonly #host: ClientHost
  readonly #session: ClientSession
  #timer: Timer | null = null
  #expired: (() => void) | null = null

  constructor(host: ClientHost, session: ClientSession) {
    this.#host = host
    this.#session = session
  }

  login(): void {
    this.#arm(this.#host.timeouts.clientLoginMs, () => {
      this.#host.countPlane('loginFailures')
      this.#session.close(
        'client_login timeout',
        FATAL('08P01', 'the login was not completed in time', 'timeouts.client_login'),
      )
    })
  }

  idle(): void {
    this.#arm(this.#host.timeouts.clientIdleMs, () => {
      this.#session.close('client_idle timeout', FATAL('57P05', 'terminating connection due to idle-session timeout'))
    })
  }

  /** Logging in needs a server connection; `failure`: why there is none, if that is known. */
  welcome(failure: () => ErrorFields | null): void {
    this.#arm(this.#host.timeouts.queryWaitMs || this.#host.timeouts.clientLoginMs, () => {
      const known = failure()
      const fields = known ?? FATAL('53300', WAITED_TOO_LONG, WAIT_HINT)
      this.#session.close(fields.message, { ...fields, severity: 'FATAL' })
    })
  }

  waiting(): void {
    this.#arm(this.#host.timeouts.queryWaitMs, () => {
      this.#session.meter.waitTimedOut()
      const known = this.#session.poolFailure
      this.#session.rejectRequest(
        known === null ? ERROR('53300', WAITED_TOO_LONG, WAIT_HINT) : { ...known, severity: 'ERROR' },
      )
    })
  }

  querying(): void {
    this.#arm(this.#host.timeouts.queryMs, () => {
      const { server } = this.#session
      if (server) this.#host.cancelServer(server)
    })
  }

  inTransaction(): void {
    this.#arm(this.#host.timeouts.idleTransactionMs, () => {
      this.#session.close(
        'idle_transaction timeout',
        FATAL('25P03', 'terminating connection due to idle-in-transaction timeout'),
      )
    })
  }

  lastWords(finish: () => void): void {
    this.#arm(this.#host.draining ? DRAINING_LAST_WORDS_MS : LAST_WORDS_MS, finish)
  }

  stop(): void {
    if (this.#timer) this.#host.timers.disarm(this.#timer)
    this.#expired = null
  }

  #arm(milliseconds: number, expired: () => void): void {
    if (milliseconds === 0) {
      if (this.#expired !== null) this.stop()
      return
    }
    this.#timer ??= new Timer(() => {
      const act = this.#expired
      this.#expired = null
      act?.()
    })
    this.#expired = expired
    this.#host.timers.arm(this.#timer, this.#host.now + milliseconds)
  }
}
