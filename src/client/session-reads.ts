import { ReadAttempt } from '../server/read-attempt.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { ClientHost } from './client-host.ts'
import { isReadOnly } from './deferred-begin.ts'
import type { PoolChoice } from './pool-choice.ts'
import type { SeatedSession } from './seated-session.ts'
import type { StatementBook } from './statement-book.ts'

const EMPTY = Buffer.alloc(0)

/** The place at a server connection whose reads these are. */
interface ReadingSeat {
  readonly host: ClientHost
  readonly session: SeatedSession
  /** Null: the session uses no pools. */
  readonly choice: PoolChoice | null
  /** The one that it has. */
  readonly server: ServerConnection | null
  /** Id of the shard that its last pool is on; −1: it had none. */
  readonly lastShard: number
  giveUp(isMidway: boolean): void
}

/**
 * What of a session's requests may run elsewhere than on the primary, and where. The request that it asks for now is a read,
 * or it is not; the next `begin` says anew.
 */
export class SessionReads {
  readonly #seat: ReadingSeat
  #isReading = false
  /** A replica could not answer it: the primary is asked, until the transaction is over. */
  #avoidsReplicas = false
  /** Its turn to wait is for a replica that has what it wrote; since when, 0: it does not. */
  #waits = false
  #waitsSince = 0

  constructor(seat: ReadingSeat) {
    this.#seat = seat
  }

  /** It wants a server connection for another request, which certainly only reads, or may do anything. */
  begin(isReading: boolean): void {
    this.#isReading = isReading
    this.#waits = false
    this.#waitsSince = 0
  }

  /** It had `server` in another process: on a replica, nothing but reads has been sent there. */
  resume({ target }: ServerConnection): void {
    this.#isReading = target.shard.role === 'replica' && this.#seat.choice?.isForReplicas !== true
  }

  /** It has its server connection for something that certainly only reads. */
  get isReading(): boolean {
    return this.#isReading
  }

  /** It reads on a replica, and nothing else may be sent there. */
  get isOnReplica(): boolean {
    const { server } = this.#seat
    return this.#isReading && server !== null && server.target.shard.role === 'replica'
  }

  /** The same, in a transaction that says READ ONLY. */
  get isInReplicaTransaction(): boolean {
    return this.#isReading && this.#seat.session.settings.transaction.deferredBegin !== null && this.isOnReplica
  }

  /** A request that only reads may run elsewhere than on the primary, so it is worth a look. */
  get areRouted(): boolean {
    const { choice, host, session } = this.#seat
    if (session.listening !== null) return false
    const plan = choice?.plan() ?? null
    return plan !== null && host.readRouting.mayLeave(plan, session.slot, session.memory.tier)
  }

  /** A transaction of its that only reads may run elsewhere than on the primary. */
  get mayLeavePrimary(): boolean {
    const { choice, host } = this.#seat
    return this.areRouted && choice?.staysOnPrimary(host.now) === false
  }

  /** What it asks for next may run elsewhere, as far as its transaction is concerned. */
  get mayRead(): boolean {
    const { choice, host, session } = this.#seat
    const { deferredBegin: begin, isLost } = session.settings.transaction
    if (begin === null) return !isLost
    return begin.isReadOnly && !begin.isSerializable && choice?.staysOnPrimary(host.now) !== true
  }

  /** READ ONLY transactions of its user in its database need the primary. */
  stayOnPrimary(): void {
    const { choice, host } = this.#seat
    choice?.stayOnPrimary(host.now)
  }

  /** More has come than the read that it has its server connection for. */
  noteMore(): void {
    this.#isReading = false
  }

  /** The pool for what it asks; null: there is none, for now. */
  pool(): ServerPool | null {
    const { choice, host, session, lastShard } = this.#seat
    if (choice === null || !this.#isReading || this.#avoidsReplicas) return choice?.current() ?? null
    const candidate = host.readRouting.choose(choice, session.slot, session.memory.tier, lastShard)
    return candidate === null || candidate.isPrimary ? choice.current() : choice.on(candidate.shard)
  }

  /** A replica may soon be recent enough for the read that goes to `pool` otherwise: it is better to `wait` a little. */
  isBetterLater(pool: ServerPool | null): boolean {
    this.#waits = this.#isReading && this.#mayWait(pool)
    return this.#waits
  }

  #mayWait(pool: ServerPool | null): boolean {
    const { choice, host, session, lastShard } = this.#seat
    const isElsewhere = pool !== null && pool !== choice?.current()
    if (choice === null || isElsewhere || this.#avoidsReplicas) return false
    const { slot, memory } = session
    return host.readRouting.mayWait(choice, slot, memory.tier, lastShard, this.#waitsSince)
  }

  /** It waits now. True: for a replica to be recent enough. */
  wait(): boolean {
    if (!this.#waits) this.#waitsSince = 0
    else if (this.#waitsSince === 0) this.#waitsSince = this.#seat.host.now
    return this.#waits
  }

  /** What `pool` has against it, the primary may not have. False: it is the primary's. */
  avoid(pool: ServerPool | null): boolean {
    if (!this.#isReading || pool === this.#seat.choice?.current()) return false
    this.#avoidsReplicas = true
    return true
  }

  /** What comes next is for the primary, whatever it is. */
  avoidReplicas(): void {
    this.#avoidsReplicas = true
  }

  /** `bytes[start, end)` is the read. When a replica is asked it is kept until that has begun to answer. */
  attempt(bytes: Buffer, start: number, end: number): void {
    const { server } = this.#seat
    if (server === null || !this.isOnReplica) return
    server.work.attempt ??= new ReadAttempt()
    server.work.attempt.open(bytes, start, end)
  }

  /** `server`, a replica, had no answer: the primary is asked next. Returns what the client asked for. */
  askElsewhere({ target, work }: ServerConnection): Buffer {
    if (this.#seat.server !== null) this.#seat.giveUp(false)
    this.#avoidsReplicas = true
    this.#seat.host.readRouting.retried(target.shard.id)
    const request = work.attempt?.request() ?? EMPTY
    work.attempt?.close()
    return request
  }

  /** What was asked here is nothing for replicas. */
  refuse(request: Buffer, book: StatementBook | null): void {
    this.#seat.host.readRouting.refuse(request, book)
  }

  /** A transaction is over, and its server connection may go. */
  transactionEnds(): void {
    const { choice, host, server, session } = this.#seat
    if (choice === null || server === null) return
    server.work.attempt?.close()
    this.#avoidsReplicas = false
    const shard = this.isOnReplica ? server.target.shard.id : -1
    const mayHaveWritten = !this.#isReading && !isReadOnly(session.settings.transaction.deferredBegin)
    host.readRouting.transactionEnds(choice, session.slot, mayHaveWritten, shard)
  }
}
