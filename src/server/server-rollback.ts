import type { Link } from '../io/link.ts'
import { STATUS } from '../protocol/message-type.ts'
import { SYNC } from '../protocol/messages.ts'
import { REPLY, type ReplyQueue, SWALLOW } from './reply-queue.ts'

/** The server connection in which nothing shall be left open. */
interface AbandonedServer {
  readonly queue: ReplyQueue
  readonly link: Link
  /** Transaction status of the last ReadyForQuery. */
  readonly status: number
  ask(sql: string): void
}

/**
 * Undoes what its last client has begun, be it an explicit transaction or messages without a Sync, which would commit them. Behind an
 * error the server heeds nothing but a Sync. False: it is closed by now.
 */
export function rollBack(server: AbandonedServer): boolean {
  const { queue, link } = server
  const { unfinished, skipping } = queue
  if (skipping) {
    queue.push(REPLY.sync | SWALLOW)
    link.send(SYNC)
  }
  if (server.status !== STATUS.idle || (unfinished && !skipping)) server.ask('ROLLBACK')
  return !link.closed
}
