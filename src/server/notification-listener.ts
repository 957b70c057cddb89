import type { Deferrable } from '../io/deferred.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { quoteIdentifier } from '../sql/server-identifier.ts'
import { Timer } from '../util/timer-wheel.ts'
import type { KeptServer } from './kept-server.ts'
import { ListenerLogins } from './listener-logins.ts'
import { countNotification, noteAudience, poolRecordOf } from './listener-slot.ts'
import { ListeningGap } from './listening-gap.ts'
import { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { ServerListener } from './server-listener.ts'
import type { ServerOwner } from './server-owner.ts'
import type { ServerTarget } from './server-target.ts'
import type { ListeningPlace, Subscriber } from './subscriber.ts'
import { Subscriptions } from './subscriptions.ts'

/** Totals of a plane that listening connections count. */
export type ListenerCounter = 'notifications' | 'notificationDeliveries' | 'listenersLost'

/** What listening connections need of the plane they live in. */
export interface ListenerHost extends ServerHost {
  countPlane(field: ListenerCounter): void
}

/**
 * - closed: no connection; the next attempt waits for its time, for a place to go, or for somebody to listen for.
 * - opening: connecting and logging in.
 * - listening: logged in. At most one question at a time is on its way.
 */
export type ListenerState = 'closed' | 'opening' | 'listening'

/** A connection that has said nothing for so long is asked whether it is alive, unless `timeouts.server_check` says otherwise. */
const CHECK_MS = 30_000
const SHUT_DOWN = 'nobody listens any more'

/**
 * One connection to a group's primary that listens in a database for all sessions that want to, and tells each what it
 * subscribed to, in the order in which the server told it.
 *
 * Sessions `subscribe`, then `sync`: an answer to anything means that every notification committed before it was asked has
 * come, for a server sends what is waiting before each ReadyForQuery outside of a transaction.
 * https://www.postgresql.org/docs/current/sql-notify.html
 */
export class NotificationListener implements ServerOwner, ServerListener, Deferrable {
  isDeferred = false
  readonly kind: ServerKind
  readonly #host: ListenerHost
  readonly #encoding: string
  readonly #subscriptions: Subscriptions = new Subscriptions()
  readonly #gap: ListeningGap
  readonly #logins: ListenerLogins = new ListenerLogins(this.#subscriptions)
  readonly #retry: Timer = new Timer(() => this.#open())
  #state: ListenerState = 'closed'
  #server: ServerConnection | null = null
  /** Who waits for the next question's answer, and for that of the question on its way; null: none is. */
  #waiting: Subscriber[] = []
  #asked: Subscriber[] | null = null
  #answeredAt = 0
  #isCheckDue = false
  /** It is to be opened now. */
  #isDue = false

  /** `encoding`: the client_encoding of what it delivers. */
  constructor(host: ListenerHost, encoding: string) {
    this.#host = host
    this.#gap = new ListeningGap(host, this.#subscriptions)
    this.#encoding = encoding
    this.kind = { kind: 'listener', encoding }
  }

  /**
   * Goes on with a connection that another process has listened on. Sessions subscribe and ask anew; nothing that was
   * notified is lost on the way. Throws Error when it cannot be read.
   */
  adopt(target: ServerTarget, kept: KeptServer & { readonly slot: number }): ServerConnection {
    const server = new ServerConnection(
      this.#host,
      this,
      target,
      kept.slot,
      poolRecordOf(this.#host.servers, kept.slot),
      kept,
    )
    server.relisten(this)
    this.#server = server
    this.#state = 'listening'
    this.#answeredAt = this.#host.now
    // Whoever asked that asks again.
    if (server.queue.length > 0) this.#asked = []
    return server
  }

  get state(): ListenerState {
    return this.#state
  }

  get isListening(): boolean {
    return this.#state === 'listening'
  }

  /** Nobody needs it, and it holds nothing. */
  get isOver(): boolean {
    return this.#subscriptions.isEmpty && this.#state === 'closed'
  }

  /** Delivers from some moment on that is over when a `sync` from now on is done. */
  subscribe(channel: string, subscriber: Subscriber): void {
    this.#subscriptions.add(channel, subscriber)
    this.#changed()
    if (this.#state === 'closed' && !this.#retry.armed) this.#open()
  }

  unsubscribe(channel: string, subscriber: Subscriber): void {
    this.#subscriptions.delete(channel, subscriber)
    this.#changed()
  }

  /** `onSynced` follows, later; or `onSyncLost`, or `onListenerFailed`. */
  sync(subscriber: Subscriber): void {
    this.#waiting.push(subscriber)
    this.#host.deferred.add(this)
    if (this.#state === 'closed' && !this.#retry.armed) this.#open()
  }

  /** Whoever waits is forgotten: it is not there any more. */
  forget(subscriber: Subscriber): void {
    this.#waiting = this.#waiting.filter((other) => other !== subscriber)
    this.#asked = this.#asked?.filter((other) => other !== subscriber) ?? null
  }

  /** The topology, the configuration, or what is paused has changed. */
  revise(): void {
    const { target, isPaused } = this.#logins.place
    if (this.#state === 'closed') {
      if (!this.#retry.armed) this.#open()
      return
    }
    const here = this.#server?.target.shard
    if (isPaused) this.#server?.close('paused')
    else if (target !== null && here !== undefined && !isSamePlace(here, target.target.shard)) {
      this.#server?.close('the primary is elsewhere now')
    }
  }

  /** Once a second: closes what nobody needs, and finds out that a connection is dead. */
  maintain(now: number): void {
    if (this.#subscriptions.isEmpty) {
      this.#host.timers.disarm(this.#retry)
      this.#gap.forget()
      if (this.#asked === null && this.#waiting.length === 0) this.#server?.close(SHUT_DOWN)
      return
    }
    const checkMs = this.#host.timeouts.serverCheckMs || CHECK_MS
    if (this.#state !== 'listening' || this.#asked !== null || now - this.#answeredAt < checkMs) return
    this.#isCheckDue = true
    this.#host.deferred.add(this)
  }

  close(reason: string): void {
    this.#server?.close(reason)
  }

  /** Asks what there is to ask, all in one question. */
  runDeferred(): void {
    if (this.#isDue) this.#open()
    const isNeeded = this.#subscriptions.hasChanged || this.#waiting.length > 0 || this.#isCheckDue
    if (this.#state !== 'listening' || this.#asked !== null || !isNeeded) return
    const { listen, unlisten } = this.#subscriptions.take()
    const statements = [
      ...listen.map((channel) => `LISTEN ${quoteIdentifier(channel)}`),
      ...unlisten.map((channel) => `UNLISTEN ${quoteIdentifier(channel)}`),
    ]
    this.#isCheckDue = false
    this.#asked = this.#waiting
    this.#waiting = []
    this.#server?.ask(statements.join(';'))
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#host.log('error', 'internal error while listening', { reason })
    this.#server?.lose('internal error in the router', null)
  }

  onServerReady(server: ServerConnection): void {
    this.#state = 'listening'
    this.#logins.succeeded()
    this.#answeredAt = this.#host.now
    server.listen(this)
    this.#subscriptions.startOver()
    this.#isCheckDue = this.#gap.isOpen
    this.#changed()
    this.#host.deferred.add(this)
  }

  onNotification(channel: string, message: Buffer): void {
    this.#count('notifications')
    this.#host.countPlane('notifications')
    for (const subscriber of this.#subscriptions.of(channel)) {
      this.#count('deliveries')
      this.#host.countPlane('notificationDeliveries')
      subscriber.onNotification(channel, message)
    }
  }

  onAnswered(failure: ErrorFields | null): void {
    if (failure !== null) {
      // In recovery, most likely: this is the primary no more.
      this.#server?.lose(`cannot listen: ${failure.message}`, failure)
      return
    }
    const asked = this.#asked ?? []
    this.#asked = null
    this.#answeredAt = this.#host.now
    this.#gap.end()
    for (const subscriber of asked) subscriber.onSynced()
    this.#host.deferred.add(this)
  }

  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void {
    const wasListening = this.#state === 'listening'
    this.#server = null
    this.#state = 'closed'
    this.#waiting = [...(this.#asked ?? []), ...this.#waiting]
    this.#asked = null
    if (wasListening) this.#gap.begin(reason)
    if (login !== null) this.#refusedLogin(login, reason, server.target.user)
    else if (!this.#subscriptions.isEmpty) this.#tryAgain(server.createdAt)
    // Only now: whoever asks anew waits for the next attempt.
    const waiting = this.#waiting
    this.#waiting = []
    for (const subscriber of waiting) subscriber.onSyncLost()
  }

  /** At once, unless that was the last thing tried. */
  #tryAgain(triedAt: number): void {
    const { now, timers, timeouts, deferred } = this.#host
    const at = triedAt + Math.max(10, timeouts.serverLoginRetryMs)
    this.#isDue = at <= now
    if (this.#isDue) deferred.add(this)
    else timers.arm(this.#retry, at)
  }

  #refusedLogin(fields: ErrorFields, reason: string, user: string): void {
    this.#host.log('warn', 'listening connection failed', { user, sqlstate: fields.sqlstate, reason })
    const verdict = this.#logins.failed(fields.sqlstate, user)
    if (verdict === 'another') {
      this.#host.timers.arm(this.#retry, this.#host.now)
      return
    }
    if (verdict === 'vain') {
      const waiting = this.#waiting
      this.#waiting = []
      for (const subscriber of waiting) subscriber.onListenerFailed(fields)
    }
    if (this.#subscriptions.isEmpty) return
    this.#tryAgain(this.#host.now)
  }

  #open(): void {
    this.#isDue = false
    if (this.#state !== 'closed' || this.#subscriptions.isEmpty) return
    const { target: pool } = this.#logins.place
    if (pool === null) return
    const slot = this.#host.takeServerSlot()
    if (slot < 0) {
      this.#tryAgain(this.#host.now)
      return
    }
    const startup = [
      ['application_name', 'switchyard listener'],
      ['client_encoding', this.#encoding],
    ] as const
    try {
      this.#state = 'opening'
      this.#server = new ServerConnection(this.#host, this, { ...pool.target, startup }, slot, pool.record)
    } catch (error) {
      this.#state = 'closed'
      this.#host.freeServerSlot(slot)
      const message = error instanceof Error ? error.message : String(error)
      this.#refusedLogin({ severity: 'FATAL', sqlstate: '08001', message }, message, pool.target.user)
    }
  }

  #changed(): void {
    if (this.#subscriptions.hasChanged) this.#host.deferred.add(this)
    if (this.#server !== null) noteAudience(this.#host.servers, this.#server.slot, this.#subscriptions)
  }

  #count(field: 'notifications' | 'deliveries'): void {
    if (this.#server !== null) countNotification(this.#host.servers, this.#server.slot, field)
  }
}

type Place = ListeningPlace['target']['shard']

function isSamePlace(one: Place, other: Place): boolean {
  return one.id === other.id && one.address === other.address && one.port === other.port
}
