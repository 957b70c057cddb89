import type { ErrorFields } from '../protocol/messages.ts'

/** Who has a connection that listens and serves no client. */
export interface ServerListener {
  /** `message` is the whole NotificationResponse, to be used during the call. */
  onNotification(channel: string, message: Buffer): void
  /** The answer to `ask` is complete. */
  onAnswered(failure: ErrorFields | null): void
}
