import type { ListenerSet } from '../server/listener-set.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { NotifiedClient, OutletHost } from './notification-outlet.ts'

/** What listening needs of the plane. */
export interface ListeningHost extends OutletHost {
  readonly listeners: ListenerSet
}

/** The session that listens. */
export interface ListeningSession extends NotifiedClient {
  readonly server: ServerConnection | null
  /** Where its transactions go; null: nowhere at the moment. */
  readonly pool: ServerPool | null
  /** Its client_encoding. */
  readonly encoding: string
  readonly settings: { pin(bits: number): void }
  resume(): void
  /** What comes after a transaction and its ReadyForQuery. */
  endTransaction(): void
}
