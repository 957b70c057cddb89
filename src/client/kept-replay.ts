import type { Echo } from '../server/client-delivery.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { ClientReader } from './client-reader.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionState } from './session-state.ts'

/** What is run again, for another process, which begins with it once more: on a server connection that nothing was sent to. */
export interface ReplaySnapshot {
  readonly echo: Echo
  /** What was sent of it, in base64; the rest is in the inbox. */
  readonly sent: string
  readonly runs: number
}

/** The session that runs something again. */
export interface ReplayingSession {
  readonly server: ServerConnection | null
  readonly settings: SessionState
  readonly requests: RequestRelay
  /** What its client has got of what is to be run again, of which nothing was sent yet; null: there is none. */
  readonly echo: Echo | null
}

/** Something is run again, and it is not known yet whether it is the same. */
export function isReplaying({ echo, server }: ReplayingSession): boolean {
  return echo !== null || server?.relay.delivery.isEchoing === true
}

/** Null: nobody could go on with it. */
export function snapshotReplay({ echo, server, requests }: ReplayingSession): ReplaySnapshot | null {
  const { times: runs } = requests.runs
  if (requests.midMessage) return null
  if (echo !== null) return { echo, sent: '', runs }
  const delivery = server?.relay.delivery
  if (server === null || !delivery?.echo || delivery.hasDiverged) return null
  const { whole, length } = server.work.sent
  if (length > 0 && whole === null) return null
  return { echo: delivery.echo, sent: whole?.toString('base64') ?? '', runs }
}

/** The settings with which that begins. */
export function replayedSettings({ echo, server, settings }: ReplayingSession): ParameterSet | null {
  const before = echo === null ? (server?.work.startedWith ?? null) : null
  return before ?? settings.parameters
}

/** Begins once more with what another process was running again. False: there is no room for it. */
export function resumeReplay(
  session: {
    readonly settings: SessionState
    readonly requests: RequestRelay
    readonly reader: ClientReader
    readonly seat: ServerSeat
    echo: Echo | null
  },
  { echo, sent, runs }: ReplaySnapshot,
): boolean {
  const { settings, requests, reader, seat } = session
  requests.statements?.book.abandon()
  settings.changeServer()
  requests.runs.times = runs
  seat.reads.avoidReplicas()
  session.echo = echo
  return reader.unread(Buffer.from(sent, 'base64'))
}
