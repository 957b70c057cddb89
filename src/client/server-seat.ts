import { CLIENT_STEP, PIN } from '../memory/client-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { ReplySink } from '../server/reply-sink.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { Effects } from '../sql/statement-effects.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import type { ClientHost } from './client-host.ts'
import type { ClientMeter } from './client-meter.ts'
import type { ClientSlot } from './client-slot.ts'
import type { PoolChoice } from './pool-choice.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionState } from './session-state.ts'

/** The session whose seat it is. */
export interface SeatedSession {
  readonly slot: number
  /** Serial number, unique in the plane. */
  readonly serial: number
  readonly memory: ClientSlot
  readonly meter: ClientMeter
  readonly settings: SessionState
  readonly listening: SessionListening | null
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
  /** It has been, and has lost something of it since. */
  #isStale = false
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
    server.reattach(this.#session.answers)
  }

  /** Takes a free server connection; false: there is none, so `wait`. */
  take(): boolean {
    const pool = this.#choice?.current() ?? null
    const server = pool?.checkout(this.#session.memory.tier) ?? null
    if (pool === null || server === null) return false
    this.#usePool(pool)
    this.adopt(server)
    this.#isFresh = true
    return true
  }

  /** Gets in line; `onSeated` or `rejectRequest` follows, unless `leaveQueue` is called before. */
  wait(): void {
    const pool = this.#choice?.current() ?? null
    if (pool === null) {
      this.#host.holdForRoute(this)
      return
    }
    this.#usePool(pool)
    this.#awaited = pool
    pool.wait(this)
  }

  requeue(): void {
    this.wait()
  }

  onServer(server: ServerConnection): void {
    this.#host.analyzer.profiles.waited(this.#session.slot, this.#session.meter.waitEnds())
    this.adopt(server)
    this.#isFresh = true
    this.#session.onSeated()
  }

  onPoolFailed(fields: ErrorFields): void {
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
    this.#session.meter.assigned()
    server.attach(this.#session.answers, this.#session.slot)
  }

  /** Puts a server connection that it has just got into the session's state, on `host.toServer`; `effects`: of what comes next. */
  prepare(effects: Effects | null): void {
    const server = this.#server
    if (server === null || !(this.#isFresh || (this.#isStale && isAtRest(server)))) return
    this.#isFresh = false
    this.#isStale = false
    this.#host.toServer.begin(server.link)
    const { settings, listening, serial } = this.#session
    const preamble = settings.preamble(server, effects, serial, listening?.preamble(server) ?? '')
    if (preamble !== '') server.relay.questions.prepare(preamble, this.#host.toServer)
  }

  /** The server is being asked for settings without which nothing may be sent. */
  get awaitsSettings(): boolean {
    return this.#session.settings.awaitsSettings(this.#server)
  }

  /** A text with these effects is about to be sent: SQL of ours may have to go ahead of it. */
  foresee(effects: Effects): void {
    const sql = this.#session.settings.ahead(effects)
    const server = this.#server
    if (sql !== '' && server?.queue.length === 0) server.relay.questions.prepare(sql, this.#host.toServer)
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

  /** Its server connection is gone; returns it. */
  lose(): ServerConnection {
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
    const isClean = !isOwed && !server.inTransaction && !isMidway
    const isDedicated = (pins & (PIN.console | PIN.replication)) !== 0
    this.#have(null)
    if (!isClean || isDedicated) {
      // Nobody wants the answer any more, and until it is there the shard works for nobody.
      if (isOwed && (pins & PIN.replication) === 0) this.#host.cancelServer(server)
      server.close('its client is gone')
    } else if (this.#session.settings.leavesNothing && server.queue.length === 0) server.detach()
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
