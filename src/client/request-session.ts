import type { Link } from '../io/link.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { Effects } from '../sql/statement-facts.ts'
import type { SessionListening } from './session-listening.ts'

/** What the walk through a client's requests needs of its session. */
export interface RequestSession {
  readonly link: Link
  readonly server: ServerConnection | null
  /** Serial number, unique in the plane. */
  readonly serial: number
  /** Attaches a server connection; false: wait, and keep the rest of the bytes. */
  acquire(): boolean
  /** Puts a server connection that it has just got into its state, on `host.toServer`; `effects`: of what is sent next. */
  prepare(effects: Effects | null): void
  /** What has these effects, null: unknown ones, may not be sent before the server has answered what was. */
  mustWait(effects: Effects | null): boolean
  /** The server is being asked for settings without which nothing may be sent. */
  readonly awaitsSettings: boolean
  /** Something with these effects is about to be sent. */
  foresee(effects: Effects): void
  /** A statement with these effects is sent and will be executed. */
  note(effects: Effects): void
  /** One without any. */
  noteHarmless(): void
  /** A statement that touches settings is bound to a portal. */
  bound(): void
  /** A portal is executed, after one that touches settings was bound. */
  executed(): void
  /** A query with these effects has been sent. */
  noteSent(effects: Effects): void
  /** Null: it has never listened to anything that others hear for it. */
  readonly listening: SessionListening | null
  /** What is about to be sent changes what the session listens to; false: not yet. */
  admitListening(effects: Effects): boolean
  pin(bits: number): void
  unpin(bits: number): void
  /** A request that is answered with ReadyForQuery is on its way. */
  noteRequest(): void
  /** What follows cannot be taken at the moment. */
  holdBack(): void
  violate(message: string): void
  terminate(): void
  send(bytes: Uint8Array): void
  /** The transaction status the client believes in while it has no server. */
  readonly idleStatus: number
}
