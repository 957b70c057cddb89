import type { Link } from '../io/link.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { NotificationHead } from '../protocol/notification.ts'
import type { Rows } from './captured-rows.ts'
import type { Cleared } from './reply-messages.ts'

/** How a server connection ended while a client had it. */
export interface ServerLoss {
  readonly reason: string
  /** The server's own FATAL error, if it sent one. */
  readonly fields: ErrorFields | null
  /** The client got a part of a message: nothing sensible can be said to it any more. */
  readonly midMessage: boolean
  /** How many ReadyForQuery it owed to the client, and whether a request behind them waited for its Sync. */
  readonly promised: number
  readonly unfinished: boolean
}

/** `tied`: it keeps its server connection between transactions. `travelling`: it has left it with its state, and is on no other yet. */
export type SessionTie = 'none' | 'tied' | 'travelling'

/** The client that has a server connection, as the server's side sees it. None of these may throw. */
export interface ReplySink {
  readonly link: Link
  readonly tie: SessionTie
  /** The server now reports this value. Returns what to tell the client, null: nothing. */
  onParameter(name: string, value: string): string | null
  /** A statement of the client's is done: `bytes[at, stop)` is the command tag with its NUL. */
  onCommand(bytes: Buffer, at: number, stop: number, isExtended: boolean): void
  /** DEALLOCATE ALL, DISCARD ALL or DISCARD SEQUENCES is done. */
  onCleared(what: Cleared): void
  /** The server connection listens, and this came. False: the client must not get it from there. */
  onNotification(notification: NotificationHead): boolean
  /** True: the client gets the ReadyForQuery with this status, the last one it is owed, from its session and not now. */
  withholdsReady(status: number): boolean
  /** Messages that belong before the ReadyForQuery with this status, which has come; null: none. Used at once. */
  beforeReady(status: number): Uint8Array | null
  /** A ReadyForQuery has come, and been forwarded unless it is withheld. */
  onReady(status: number): void
  /** The answer to our own questions ahead of the client's request is complete. */
  onPrepared(failure: ErrorFields | null): void
  /** An inquiry of ours is answered; null: it failed, or its answer is too long. */
  onInquired(rows: Rows | null): void
  /** A request was answered: kind as in REPLY. */
  onAnswered(entry: number): void
  /** An error skipped a request that will never be answered. */
  onSkipped(entry: number): void
  onError(sqlstate: string): void
  /** What it sent has broken the protocol, and the server ends the connection with this FATAL error; the client is closed when this returns. */
  onViolation(fields: ErrorFields): void
  /** What a replica was asked has failed, and nothing of its answer has gone to the client. True: it is asked elsewhere. */
  onAttemptFailed(sqlstate: string): boolean
  /** The server connection is wanted back. False: its client cannot leave it; true: it is about to, or to find out whether it can. */
  leave(): boolean
  /** Some of what was owed has come: a client that had to stop may go on. */
  onProgress(): void
  /** Bytes could not be delivered; the client is closed when this returns. */
  onLost(): void
  onServerDrained(): void
  onServerLost(loss: ServerLoss): void
}
