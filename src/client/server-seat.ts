import { MARK_SQL } from '../continuity/commit-outcome.ts'
import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Echo } from '../server/client-delivery.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import { ReadAttempt } from '../server/read-attempt.ts'
import type { ReplySink } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { TierPolicy } from '../shard/policy.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import type { ClientHost } from './client-host.ts'
import type { ClientMeter } from './client-meter.ts'
import type { ClientSlot } from './client-slot.ts'
import type { CommitDoubt } from './commit-doubt.ts'
import { isReadOnly } from './deferred-begin.ts'
import type { PoolChoice } from './pool-choice.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionState } from './session-state.ts'
import { ROLE } from './setting-kinds.ts'
import type { StatementBook } from './statement-book.ts'

const EMPTY = Buffer.alloc(0)
/** The transaction that a COMMIT ends which was committed already. */
const BEGIN = 'BEGIN'

/** The session whose seat it is. */
export interface SeatedSession {
  readonly slot: number
  /** Serial number, unique in the plane. */
  readonly serial: number
  readonly memory: ClientSlot
  readonly meter: ClientMeter
  readonly settings: SessionState
  readonly listening: SessionListening | null
  /** Null: no COMMIT is in doubt. */
  readonly doubt: CommitDoubt | null
  /** What its client has already of the answers that come next; null: nothing. */
  echo: Echo | null
  /** Hears what the server connection says. */
  readonly answers: ReplySink
  /** The server connection that it waited for is there. */
  onSeated(): void
  /** Waits no longer: the request gets this error. */
  rejectRequest(fields: ErrorFields): void
}

/**
 * A session's place at a server connection: the pool that its next one comes from, its turn in that pool's queue, and the
 * one it has. It lets go of that one with `giveBack` as it is, with `lose` when it is dead, and with `abandon` when the
 * session is over.
 */
export class ServerSeat implements PoolWaiter {
  readonly #host: ClientHost
  readonly #session: SeatedSession
  #choice: PoolChoice | null = null
  #server: ServerConnection | null = null
  /** The pool that its requests are counted for. */
  #pool: ServerPool | null = null
  /** The pool it waited in last. */
  #awaited: ServerPool | null = null
  /** Its server connection has not been put into the session's state yet. */
  #isFresh = false
  /** What it asks for certainly only reads. */
  #isReading = false
  /** A replica could not answer it: the primary is asked. */
  #avoidsReplicas = false
  /** It has been, and has lost something of it since. */
  #isStale = false
  /** Its turn to wait is for a replica that has what it wrote; since when, 0: it does not. */
  #waitsForReplica = false
  #replicaWaitSince = 0
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  waitsAs = -1
  waitingSince = 0

  constructor(host: ClientHost, session: SeatedSession) {
    this.#host = host
    this.#session = session
  }

  get tier(): number {
    return this.#session.memory.tier
  }

  get server(): ServerConnection | null {
    return this.#server
  }

  /** Where its next server connection comes from; null: nowhere, for now. */
  get pool(): ServerPool | null {
    return this.#choice?.current() ?? null
  }

  /** Nothing has been sent to its server connection. */
  get isFresh(): boolean {
    return this.#server !== null && this.#isFresh
  }

  /** Something that the client sent is not answered yet. */
  get isOwed(): boolean {
    return this.#server?.queue.owing === true
  }

  /** Other clients wait for a server connection of this pool. */
  get isWanted(): boolean {
    return (this.#choice?.current()?.waiting ?? 0) > 0
  }

  /** Why the pool has no server connection for it, if that is known. */
  get poolFailure(): ErrorFields | null {
    return this.#awaited?.lastFailure ?? null
  }

  /** Takes its server connections from there from now on. */
  begin(choice: PoolChoice): void {
    this.#choice = choice
    const pool = choice.current()
    if (pool !== null) this.#usePool(pool)
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (this.#isFresh ? CLIENT_STEP.fresh : 0) | (this.#isStale ? CLIENT_STEP.stale : 0)
  }

  /** It had `server` in another process, in the state that these bits say. */
  resume(server: ServerConnection, flags: number): void {
    this.#have(server)
    this.#isFresh = (flags & CLIENT_STEP.fresh) !== 0
    this.#isStale = (flags & CLIENT_STEP.stale) !== 0
    // Nothing but reads has been sent there.
    this.#isReading = server.target.shard.role === 'replica' && this.#choice?.isForReplicas !== true
    server.reattach(this.#session.answers)
  }

  /** A request that only reads may run elsewhere than on the primary, so it is worth a look. */
  get routesReads(): boolean {
    const { listening, memory, slot } = this.#session
    if (listening !== null) return false
    const plan = this.#choice?.plan() ?? null
    return plan !== null && this.#host.readRouting.mayLeave(plan, slot, memory.tier)
  }

  /** It has its server connection for something that certainly only reads. */
  get isReading(): boolean {
    return this.#isReading
  }

  /** It reads on a replica, and nothing else may be sent there. */
  get isOnReplica(): boolean {
    return this.#isReading && this.#server !== null && this.#server.target.shard.role === 'replica'
  }

  /** The same, in a transaction that says READ ONLY. */
  get isInReplicaTransaction(): boolean {
    return this.#isReading && this.#session.settings.transaction.deferredBegin !== null && this.isOnReplica
  }

  /** A transaction of its that only reads may run elsewhere than on the primary. */
  get mayLeavePrimary(): boolean {
    return this.routesReads && this.#choice?.staysOnPrimary(this.#host.now) === false
  }

  /** What it asks for next may run elsewhere, as far as its transaction is concerned. */
  get mayRead(): boolean {
    const { deferredBegin: begin, isLost } = this.#session.settings.transaction
    if (begin === null) return !isLost
    return begin.isReadOnly && !begin.isSerializable && this.#choice?.staysOnPrimary(this.#host.now) !== true
  }

  /** READ ONLY transactions of its user in its database need the primary. */
  stayOnPrimary(): void {
    this.#choice?.stayOnPrimary(this.#host.now)
  }

  /** More has come than the read that it has its server connection for. */
  noteMore(): void {
    this.#isReading = false
  }

  /** Takes a free server connection; false: there is none, so `wait`. */
  take(isRead: boolean): boolean {
    this.#isReading = isRead
    const pool = this.#choose()
    this.#awaited = pool
    if (isRead) {
      this.#replicaWaitSince = 0
      if (this.#mayWaitForReplica(pool, 0)) return false
    }
    const server = pool?.checkout(this.#session.memory.tier) ?? null
    if (pool === null || server === null) return false
    this.#usePool(pool)
    this.adopt(server)
    this.#isFresh = true
    return true
  }

  /** A replica may soon be recent enough for the read that goes to `pool` otherwise. `since`: when it began to wait, 0: not yet. */
  #mayWaitForReplica(pool: ServerPool | null, since: number): boolean {
    this.#waitsForReplica = false
    const choice = this.#choice
    const isElsewhere = pool !== null && pool !== choice?.current()
    if (choice === null || isElsewhere || this.#avoidsReplicas) return false
    const { slot, memory } = this.#session
    const { readRouting } = this.#host
    this.#waitsForReplica = readRouting.mayWait(choice, slot, memory.tier, this.#pool?.target.shard.id ?? -1, since)
    return this.#waitsForReplica
  }

  #choose(): ServerPool | null {
    const choice = this.#choice
    if (choice === null || !this.#isReading || this.#avoidsReplicas) return choice?.current() ?? null
    const { slot, memory } = this.#session
    const sawOn = this.#pool?.target.shard.id ?? -1
    const candidate = this.#host.readRouting.choose(choice, slot, memory.tier, sawOn)
    return candidate === null || candidate.isPrimary ? choice.current() : choice.on(candidate.shard)
  }

  /** Gets in line where `take` found nothing; `onSeated` or `rejectRequest` follows, unless `leaveQueue` is called before. */
  wait(): void {
    const pool = this.#awaited
    if (this.#waitsForReplica) {
      if (this.#replicaWaitSince === 0) this.#replicaWaitSince = this.#host.now
      this.#host.replicaWaits.wait(this)
      return
    }
    this.#replicaWaitSince = 0
    if (pool === null) {
      this.#host.holdForRoute(this)
      return
    }
    this.#usePool(pool)
    pool.wait(this)
  }

  requeue(): void {
    const pool = this.#choose()
    this.#awaited = pool
    const isWaitingOn = this.#isReading && this.#mayWaitForReplica(pool, this.#replicaWaitSince)
    const server = isWaitingOn ? null : (pool?.checkout(this.#session.memory.tier) ?? null)
    if (pool === null || server === null) {
      this.wait()
      return
    }
    this.#replicaWaitSince = 0
    this.#usePool(pool)
    this.onServer(server)
  }

  onServer(server: ServerConnection): void {
    this.#host.analyzer.profiles.waited(this.#session.slot, this.#session.meter.waitEnds())
    this.adopt(server)
    this.#isFresh = true
    this.#session.onSeated()
  }

  onPoolFailed(fields: ErrorFields): void {
    if (this.#isReading && this.#awaited !== this.#choice?.current()) {
      // Whatever a replica has against it, the primary may not.
      this.#avoidsReplicas = true
      this.requeue()
      return
    }
    this.#session.rejectRequest({ ...fields, severity: 'ERROR' })
  }

  leaveQueue(): void {
    if (this.waitsAs >= 0) this.#awaited?.leave(this)
    else if (this.fifo !== null) this.fifo.remove(this)
  }

  /** Its turn did not come in time. */
  noteTimedOut(): void {
    this.#awaited?.noteTimedOut(this.waitsAs)
  }

  /** Has this server connection from now on, in the state that it is in. */
  adopt(server: ServerConnection): void {
    this.#have(server)
    const { requestBytes, resultBytes } = this.#policy.replay
    server.work.sent.transactionBytes = requestBytes
    server.relay.delivery.summedBytes = resultBytes
    this.#session.meter.assigned()
    server.attach(this.#session.answers, this.#session.slot)
  }

  /** Puts a server connection that it has just got into the session's state, on `host.toServer`; `effects`: of what comes next. */
  prepare(effects: Effects | null): void {
    const server = this.#server
    if (server === null || !(this.#isFresh || (this.#isStale && isAtRest(server)))) return
    this.#isFresh = false
    this.#isStale = false
    this.#beginEcho(server)
    this.#host.toServer.begin(server.link)
    // If it fails, it must not fail a transaction; nor may it be asked in a failed one.
    if (server.work.mark.isUntried && this.#policy.resolvesCommits) {
      server.relay.questions.mark(MARK_SQL, this.#host.toServer)
    }
    const { settings, listening, serial } = this.#session
    const preamble = settings.preamble(server, effects, serial, listening?.preamble(server) ?? '')
    const begin = this.#session.doubt?.isCommitted === true ? BEGIN : settings.transaction.takeBegin()
    const sql = preamble === '' || begin === '' ? preamble + begin : `${preamble};${begin}`
    if (sql !== '') server.relay.questions.prepare(sql, this.#host.toServer)
  }

  /** What comes first is what its client has got already. */
  #beginEcho(server: ServerConnection): void {
    const session = this.#session
    if (session.echo === null) return
    server.relay.delivery.expect(session.echo)
    session.echo = null
  }

  get #policy(): TierPolicy {
    return this.#host.values.policy.tiers[this.#session.memory.tier] as TierPolicy
  }

  /** The server is being asked something without which nothing may be sent. */
  get mustAwait(): boolean {
    const server = this.#server
    const { doubt, settings } = this.#session
    if (doubt !== null && server !== null && doubt.mustAwait(server)) return true
    if (server !== null && this.isInReplicaTransaction && this.#awaitsEnd(server)) return true
    return settings.awaitsSettings(server)
  }

  /** The end of its transaction is on its way: what follows may run elsewhere. */
  #awaitsEnd({ queue }: ServerConnection): boolean {
    return !this.#isFresh && !queue.unfinished && this.#session.settings.transaction.ending(queue) !== 'none'
  }

  /** A text with these effects is about to be sent: SQL of ours may have to go ahead of it. */
  foresee(effects: Effects): void {
    const sql = this.#session.settings.ahead(effects)
    const server = this.#server
    if (sql !== '' && server?.queue.length === 0) server.relay.questions.prepare(sql, this.#host.toServer)
    if ((effects.flags & FACT.commits) !== 0 && server?.work.hasWritten === true) this.#mark(server)
  }

  /** A COMMIT is about to be sent: should it be lost, what the server says now tells which transaction it was of. */
  #mark({ work, status, queue, relay }: ServerConnection): void {
    const { settings, listening } = this.#session
    if (!work.mark.isUsable || status !== STATUS.inTransaction || queue.unfinished || queue.full) return
    // Another role may not be allowed to ask.
    const isOrdinary = settings.leavesNothing && listening === null && settings.parameters?.values.has(ROLE) !== true
    if (isOrdinary && this.#policy.resolvesCommits) relay.questions.mark(MARK_SQL, this.#host.toServer)
  }

  /** `bytes[start, end)` is the read. When a replica is asked it is kept until that has begun to answer. */
  attempt(bytes: Buffer, start: number, end: number): void {
    const server = this.#server
    if (server === null || !this.isOnReplica) return
    server.work.attempt ??= new ReadAttempt()
    server.work.attempt.open(bytes, start, end)
  }

  /** `server`, a replica, had no answer: the primary is asked next. Returns what the client asked for. */
  askElsewhere(server: ServerConnection): Buffer {
    if (this.#server !== null) this.giveUp(false)
    this.#avoidsReplicas = true
    this.#host.readRouting.retried(server.target.shard.id)
    const request = server.work.attempt?.request() ?? EMPTY
    server.work.attempt?.close()
    return request
  }

  /** What comes next is for the primary, whatever it is. */
  avoidReplicas(): void {
    this.#avoidsReplicas = true
  }

  /** What was asked here is nothing for replicas. */
  refuse(request: Buffer, book: StatementBook | null): void {
    this.#host.readRouting.refuse(request, book)
  }

  /** A transaction is over, and its server connection may go. */
  transactionEnds(): void {
    const server = this.#server
    if (this.#choice === null || server === null) return
    server.work.attempt?.close()
    this.#avoidsReplicas = false
    const shard = this.isOnReplica ? server.target.shard.id : -1
    const mayHaveWritten = !this.#isReading && !isReadOnly(this.#session.settings.transaction.deferredBegin)
    this.#host.readRouting.transactionEnds(this.#choice, this.#session.slot, mayHaveWritten, shard)
  }

  /** The session's state is not what its server connection has: it is put there ahead of the next request. */
  renew(): void {
    this.#isStale = true
  }

  /** Its server connection could not be put into its state. `isMidway`: it has got a part of a message. */
  giveUp(isMidway: boolean): void {
    const server = this.lose()
    if (isMidway) server.close('a session could not be restored')
    else server.detachAndReset()
  }

  /** Gives its server connection back as it is. */
  giveBack(): void {
    const server = this.#server
    this.#have(null)
    if (server === null) return
    if (this.#session.settings.leave()) server.hidesSettingsOf = this.#session.serial
    server.detach()
  }

  /** Leaves its server connection, in which nothing is to be found any more. */
  depart(): void {
    const server = this.#server
    this.#have(null)
    this.#session.settings.leave()
    server?.detachAndReset()
  }

  /** Puts its server connection into the session's state although nothing is asked there yet. False: it is gone. */
  settleIn(): boolean {
    const server = this.#server
    if (server === null) return false
    this.#isFresh = false
    this.#isStale = false
    const { settings, listening, serial } = this.#session
    const preamble = settings.preamble(server, null, serial, listening?.preamble(server) ?? '')
    return preamble === '' || server.relay.questions.ask(preamble)
  }

  /** Its server connection is gone; returns it. */
  lose(): ServerConnection {
    // What it was in the middle of may have happened.
    if (!this.#isReading) this.transactionEnds()
    const server = this.#server as ServerConnection
    this.#have(null)
    return server
  }

  /** The session is over. `isMidway`: what its server connection got of it is not a whole request or session. */
  abandon(isMidway: boolean): void {
    this.leaveQueue()
    const server = this.#server
    if (server === null) return
    const { isOwed } = this
    const { pins } = this.#session.settings
    const isDedicated = (pins & (PIN.console | PIN.replication)) !== 0
    this.#have(null)
    if (isOwed || isMidway || isDedicated) {
      // Nobody wants the answer any more, and until it is there the shard works for nobody.
      if (isOwed && (pins & PIN.replication) === 0) this.#host.cancelServer(server)
      server.close('its client is gone')
    } else if (this.#session.settings.leavesNothing && isAtRest(server) && server.queue.length === 0) server.detach()
    else server.detachAndReset()
  }

  /** The one setter. */
  #have(server: ServerConnection | null): void {
    this.#server = server
    this.#isStale = false
    this.#session.memory.server(server === null ? null : server.slot)
  }

  /** Mostly the pool of its last transaction, but not always. */
  #usePool(pool: ServerPool): void {
    if (pool === this.#pool) return
    this.#pool = pool
    this.#session.memory.pool(pool.record)
    this.#session.meter.usePool(pool.record)
  }
}

/** Nothing of ours would come into the middle of what its client has sent. */
function isAtRest(server: ServerConnection): boolean {
  return !server.inTransaction && !server.queue.owing
}
