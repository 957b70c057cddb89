import type { ListeningPlace } from './subscriber.ts'
import type { Subscriptions } from './subscriptions.ts'

/** Refused logins that another user, or a later day, may heal; waiting for them would be in vain. */
const HOPELESS = new Set(['28', '3D', '42', '53'])
/** After so many attempts in a row nobody is kept waiting any longer. */
const PATIENT_ATTEMPTS = 3

/**
 * What a failed login leads to.
 *
 * - another: somebody else, whom the listener is for, may be let in, and is tried at once.
 * - later: whoever waits goes on waiting for the next attempt.
 * - vain: nobody waits for the next attempt.
 */
export type LoginVerdict = 'another' | 'later' | 'vain'

/** Where a listener logs in and as whom: as any of the sessions that it is for, whom the server has not refused. */
export class ListenerLogins {
  readonly #subscriptions: Subscriptions
  /** Users whom the server refused, until everybody has been. */
  readonly #refused = new Set<string>()
  #failures = 0

  constructor(subscriptions: Subscriptions) {
    this.#subscriptions = subscriptions
  }

  /** `target` null: nowhere now; `isPaused`: because all that there is, is paused. */
  get place(): { readonly target: ListeningPlace | null; readonly isPaused: boolean } {
    let isPaused = false
    for (const { pool } of this.#subscriptions.subscribers.keys()) {
      if (pool === null || this.#refused.has(pool.target.user)) continue
      if (!pool.paused) return { target: pool, isPaused: false }
      isPaused = true
    }
    return { target: null, isPaused }
  }

  /** Everybody is welcome again. */
  succeeded(): void {
    this.#failures = 0
    this.#refused.clear()
  }

  failed(sqlstate: string, user: string): LoginVerdict {
    this.#failures++
    const isHopeless = HOPELESS.has(sqlstate.slice(0, 2))
    if (isHopeless) this.#refused.add(user)
    if (isHopeless && this.place.target !== null) return 'another'
    this.#refused.clear()
    return isHopeless || this.#failures >= PATIENT_ATTEMPTS ? 'vain' : 'later'
  }
}
