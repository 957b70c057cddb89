import type { ErrorFields } from '../protocol/messages.ts'
import type { ServerConnection } from './server-connection.ts'
import type { ServerKind } from './server-kind.ts'

/** Who keeps server connections: told about each turn of their lives. */
export interface ServerOwner {
  readonly kind: ServerKind
  /** Logged in, or free again: give it to somebody or keep it. */
  onServerReady(server: ServerConnection): void
  /** Gone, for whatever reason; its slot is free already. `login` fields when it never got ready. */
  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void
}
