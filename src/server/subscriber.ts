import type { ErrorFields } from '../protocol/messages.ts'
import type { ServerPool } from './server-pool.ts'

/** What a listener looks at of a pool. */
export type ListeningPlace = Pick<ServerPool, 'target' | 'paused' | 'record'>

/** A session that listens through a `NotificationListener`. None of these may throw. */
export interface Subscriber {
  /** Where its transactions go at the moment, and as whom; null: nowhere. The listener may log in like that. */
  readonly pool: ListeningPlace | null
  /** `message` is a whole NotificationResponse, to be used or copied during the call. */
  onNotification(channel: string, message: Buffer): void
  /** `sync` is done: what it subscribed to is listened to, and whatever was committed before has been delivered. */
  onSynced(): void
  /** The listening connection broke while it waited for `onSynced`, which will not come. */
  onSyncLost(): void
  /** Nobody can listen for it: it waits for `onSynced` in vain. */
  onListenerFailed(fields: ErrorFields): void
  /** Listens again after `milliseconds` in which notifications may have been lost. */
  onGap(milliseconds: number): void
}
