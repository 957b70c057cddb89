import type { Link } from '../io/link.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ClientHost } from './client-host.ts'
import type { ClientReader } from './client-reader.ts'
import type { LeavingSession } from './replica-transaction.ts'
import type { SessionDeadlines } from './session-deadlines.ts'
import type { SessionListening } from './session-listening.ts'

/** What the walk through a client's requests needs of its session. */
export interface RequestSession extends LeavingSession {
  readonly link: Link
  readonly server: ServerConnection | null
  /** Serial number, unique in the plane. */
  readonly serial: number
  readonly slot: number
  /** Attaches a server connection for something that certainly only reads, or may write; false: wait, and keep the bytes. */
  acquire(isRead: boolean): boolean
  /** Gives a server connection back to which nothing has been sent. */
  letGo(): void
  /** Null: it has never listened to anything that others hear for it. */
  readonly listening: SessionListening | null
  needListening(): SessionListening
  /** A request that is answered with ReadyForQuery is on its way. */
  noteRequest(): void
  readonly reader: ClientReader
  violate(message: string): void
  terminate(): void
  send(bytes: Uint8Array): void
  /** A transaction is open, or over, although no server has been asked. */
  noteStatus(): void
  readonly host: ClientHost
  readonly deadlines: SessionDeadlines
  /** The transaction status the client believes in while it has no server. */
  readonly idleStatus: number
}
