import type { ErrorFields } from '../protocol/messages.ts'
import type { Echo } from '../server/client-delivery.ts'
import type { ReplySink } from '../server/reply-sink.ts'
import type { ClientMeter } from './client-meter.ts'
import type { ClientSlot } from './client-slot.ts'
import type { CommitDoubt } from './commit-doubt.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionState } from './session-state.ts'

/** A session, as its place at a server connection sees it. */
export interface SeatedSession {
  readonly slot: number
  /** Serial number, unique in the plane. */
  readonly serial: number
  readonly memory: ClientSlot
  readonly meter: ClientMeter
  readonly settings: SessionState
  readonly listening: SessionListening | null
  /** Null: no COMMIT is in doubt. */
  readonly doubt: CommitDoubt | null
  /** What its client has already of the answers that come next; null: nothing. */
  echo: Echo | null
  /** Hears what the server connection says. */
  readonly answers: ReplySink
  /** The server connection that it waited for is there. */
  onSeated(): void
  /** Waits no longer: the request gets this error. */
  rejectRequest(fields: ErrorFields): void
}
