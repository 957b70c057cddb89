import { UNKNOWN_OWNER } from '../session/unnamed-statement.ts'
import type { ReplyQueue } from './reply-queue.ts'

/** A server connection, and whose unnamed prepared statement it may have. */
interface UnnamedStatementServer {
  readonly queue: ReplyQueue
  /** A session's serial number, 0 for none, or UNKNOWN_OWNER. */
  unnamedOwner: number
}

/**
 * The session with this serial number is about to drop the unnamed statement. In an extended query that may be skipped,
 * and then it is there still.
 */
export function dropUnnamed(server: UnnamedStatementServer, serial: number): void {
  if (!server.queue.unfinished) server.unnamedOwner = 0
  else if (server.unnamedOwner !== 0 && server.unnamedOwner !== serial) server.unnamedOwner = UNKNOWN_OWNER
}
