import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { Effects } from '../sql/statement-effects.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import type { ClientHost } from './client-host.ts'
import type { PoolChoice } from './pool-choice.ts'
import type { SeatedSession } from './seated-session.ts'
import { sendAhead, sendPreamble, statePreamble, tierPolicy } from './server-preamble.ts'
import { SessionReads } from './session-reads.ts'

/**
 * A session's place at a server connection: the pool that its next one comes from, its turn in that pool's queue, and the
 * one it has. It lets go of that one with `giveBack` as it is, with `lose` when it is dead, and with `abandon` when the
 * session is over.
 */
export class ServerSeat implements PoolWaiter {
  readonly host: ClientHost
  readonly session: SeatedSession
  /** What of it may run elsewhere than on the primary. */
  readonly reads: SessionReads = new SessionReads(this)
  #choice: PoolChoice | null = null
  #server: ServerConnection | null = null
  /** The pool that its requests are counted for. */
  #pool: ServerPool | null = null
  /** The pool it waited in last. */
  #awaited: ServerPool | null = null
  /** Its server connection has not been put into the session's state yet. */
  #isFresh = false
  /** It has been, and has lost something of it since. */
  #isStale = false
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  waitsAs = -1
  waitingSince = 0

  constructor(host: ClientHost, session: SeatedSession) {
    this.host = host
    this.session = session
  }

  get tier(): number {
    return this.session.memory.tier
  }

  get claim(): number {
    return this.host.claimOf(this.session.slot, this.tier)
  }

  get server(): ServerConnection | null {
    return this.#server
  }

  /** Null: it uses no pools. */
  get choice(): PoolChoice | null {
    return this.#choice
  }

  /** Id of the shard that its last pool is on; −1: it had none. */
  get lastShard(): number {
    return this.#pool?.target.shard.id ?? -1
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
    this.reads.resume(server)
    server.reattach(this.session.answers)
  }

  /** Takes a free server connection for something that certainly only reads, or may do anything; false: there is none, so `wait`. */
  take(isRead: boolean): boolean {
    this.reads.begin(isRead)
    const server = this.#checkout()
    if (server === null) return false
    this.adopt(server)
    this.#isFresh = true
    return true
  }

  /** A free server connection of the pool that suits it now; null: it has to wait there, or for a replica. */
  #checkout(): ServerConnection | null {
    const pool = this.reads.pool()
    this.#awaited = pool
    const server = this.reads.isBetterLater(pool) ? null : (pool?.checkout(this.claim) ?? null)
    if (pool !== null && server !== null) this.#usePool(pool)
    return server
  }

  /**
   * Gets in line where `take` found nothing; `onSeated` or `rejectRequest` follows, unless `leaveQueue` is called before. `since`:
   * it has been in line since then, in another process; 0: it has not.
   */
  wait(since: number): void {
    if (this.reads.wait()) {
      this.host.replicaWaits.wait(this)
      return
    }
    const pool = this.#awaited
    if (pool === null) {
      this.host.holdForRoute(this)
      return
    }
    this.#usePool(pool)
    this.waitingSince = since
    pool.wait(this)
  }

  requeue(): void {
    const server = this.#checkout()
    if (server === null) this.wait(0)
    else this.onServer(server)
  }

  /** A read leaves its line for a shard that has a slot for it; it keeps its time. */
  reroute(): void {
    const { claim, waitingSince } = this
    const pool = this.reads.isReading ? this.reads.pool() : null
    if (pool === null || pool === this.#awaited || !pool.mayServeSoon(claim)) return
    this.leaveQueue()
    this.#awaited = pool
    this.#usePool(pool)
    const server = pool.checkout(claim)
    if (server !== null) {
      this.onServer(server)
      return
    }
    this.waitingSince = waitingSince
    pool.wait(this)
  }

  onServer(server: ServerConnection): void {
    this.host.analyzer.profiles.waited(this.session.slot, this.session.meter.waitEnds())
    this.adopt(server)
    this.#isFresh = true
    this.session.onSeated()
  }

  onPoolFailed(fields: ErrorFields): void {
    if (this.reads.avoid(this.#awaited)) {
      this.requeue()
      return
    }
    this.session.rejectRequest({ ...fields, severity: 'ERROR' })
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
    const { requestBytes, resultBytes } = tierPolicy(this.host, this.session).replay
    server.work.sent.transactionBytes = requestBytes
    server.relay.delivery.summedBytes = resultBytes
    this.session.meter.assigned()
    server.attach(this.session.answers, this.session.slot)
  }

  /** Puts a server connection that it has just got into the session's state, on `host.toServer`; `effects`: of what comes next. */
  prepare(effects: Effects | null): void {
    const server = this.#server
    if (server === null || !(this.#isFresh || (this.#isStale && isAtRest(server)))) return
    this.#isFresh = false
    this.#isStale = false
    sendPreamble(this.host, this.session, server, effects)
  }

  /** The server is being asked something without which nothing may be sent. */
  get mustAwait(): boolean {
    const server = this.#server
    const { doubt, settings } = this.session
    if (doubt !== null && server !== null && doubt.mustAwait(server)) return true
    if (server !== null && this.reads.isInReplicaTransaction && this.#awaitsEnd(server)) return true
    return settings.awaitsSettings(server)
  }

  /** The end of its transaction is on its way: what follows may run elsewhere. */
  #awaitsEnd({ queue }: ServerConnection): boolean {
    return !this.#isFresh && !queue.unfinished && this.session.settings.transaction.ending(queue) !== 'none'
  }

  /** A text with these effects is about to be sent: SQL of ours may have to go ahead of it. */
  foresee(effects: Effects): void {
    sendAhead(this.host, this.session, this.#server, effects)
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
    if (this.session.settings.leave()) server.hidesSettingsOf = this.session.serial
    server.detach()
  }

  /** Leaves its server connection, in which nothing is to be found any more. */
  depart(): void {
    const server = this.#server
    this.#have(null)
    this.session.settings.leave()
    server?.detachAndReset()
  }

  /** Puts its server connection into the session's state although nothing is asked there yet. False: it is gone. */
  settleIn(): boolean {
    const server = this.#server
    if (server === null) return false
    this.#isFresh = false
    this.#isStale = false
    const preamble = statePreamble(this.host, this.session, server, null)
    return preamble === '' || server.relay.questions.ask(preamble)
  }

  /** Its server connection is gone; returns it. */
  lose(): ServerConnection {
    // What it was in the middle of may have happened.
    if (!this.reads.isReading) this.reads.transactionEnds()
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
    const { pins } = this.session.settings
    const isDedicated = (pins & (PIN.console | PIN.replication)) !== 0
    this.#have(null)
    if (isOwed || isMidway || isDedicated) {
      // Nobody wants the answer any more, and until it is there the shard works for nobody.
      if (isOwed && (pins & PIN.replication) === 0) this.host.signals.cancelAbandoned(server)
      server.close('its client is gone')
    } else if (this.session.settings.leavesNothing && isAtRest(server) && server.queue.length === 0) server.detach()
    else server.detachAndReset()
  }

  /** The one setter. */
  #have(server: ServerConnection | null): void {
    this.#server = server
    this.#isStale = false
    server?.work.take(this.session.serial)
    this.session.memory.server(server === null ? null : server.slot)
  }

  /** Mostly the pool of its last transaction, but not always. */
  #usePool(pool: ServerPool): void {
    if (pool === this.#pool) return
    this.#pool = pool
    this.session.memory.pool(pool.record)
    this.session.meter.usePool(pool.record)
  }
}

/** Nothing of ours would come into the middle of what its client has sent. */
function isAtRest(server: ServerConnection): boolean {
  return !server.inTransaction && !server.queue.owing
}
