import type { ParameterSet } from '../session/parameters.ts'
import type { ClientSession } from './client-session.ts'
import type { PoolChoice } from './pool-choice.ts'
import { endIfDrained } from './session-end.ts'
import type { StartupRequest } from './startup.ts'

/** The client has said who it is, which is not proven yet. */
export function introduce(session: ClientSession, request: StartupRequest): void {
  session.user = request.user
  session.database = request.database
  session.memory.startup(request)
}

/** It counts against the limits per user and database from now on; `choice`, which says who it is, is given back at its end. */
export function countIn(session: ClientSession, choice: PoolChoice): void {
  session.choice = choice
  // The same strings for all that are alike.
  session.user = choice.identity.user
  session.database = choice.identity.database
  session.host.sessions.countLogin(session, 1)
}

/** The client has got its first ReadyForQuery. `choice` null: its server connection is its own for life. */
export function beginSession(session: ClientSession, choice: PoolChoice | null, parameters: ParameterSet): void {
  if (session.state === 'closing') return
  const { host, settings, seat, deadlines } = session
  session.greeting = null
  host.records.release(session)
  session.spills = null
  settings.values.begin(choice === null ? null : parameters)
  deadlines.rest()
  session.enter(session.server === null ? 'idle' : 'active')
  if (choice !== null) seat.begin(choice)
  if (host.draining) endIfDrained(session)
  session.resume()
}
