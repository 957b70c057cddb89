import type { ErrorFields } from '../protocol/messages.ts'
import type { FifoNode } from '../util/fifo.ts'
import type { ServerConnection } from './server-connection.ts'

/** A client in the queue of a pool, or of those whom no pool can serve at the moment. */
export interface PoolWaiter extends FifoNode {
  /** What it wants a slot as, at the moment: see `claimOf`. */
  readonly claim: number
  /** What it waits as; the queue sets it. −1: it does not wait. */
  waitsAs: number
  /** Monotonic milliseconds; 0: since it gets in line, which the pool then sets. */
  waitingSince: number
  /** It is the waiter's now; attach it or give it back. */
  onServer(server: ServerConnection): void
  /** No server connection can be had at all: the shard refused this user or database, or too many wait. */
  onPoolFailed(fields: ErrorFields): void
  /** Taken out of the queue: topology or configuration have changed, and it may have another place to go. */
  requeue(): void
  /** It still waits, and leaves the line if there is a better place by now. */
  reroute(): void
}
