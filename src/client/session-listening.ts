import { PIN } from '../memory/client-slots.ts'
import { writeError } from '../protocol/messages.ts'
import type { NotificationHead } from '../protocol/notification.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ListenerSet } from '../server/listener-set.ts'
import type { NotificationListener } from '../server/notification-listener.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { Subscriber } from '../server/subscriber.ts'
import type { LimitValues, PoolDefaults } from '../shard/plane-values.ts'
import { quoteIdentifier } from '../sql/server-identifier.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import { FATAL } from './client-host.ts'
import { NotificationOutlet, type NotifiedClient, type OutletHost, type OutletSnapshot } from './notification-outlet.ts'

/** Whatever may change what a session listens to. */
const LISTENING = FACT.listens | FACT.unlistens | FACT.discardsAll

export function concernsListening(effects: Effects): boolean {
  return (effects.flags & LISTENING) !== 0
}

/** What listening needs of the plane. */
export interface ListeningHost extends OutletHost {
  readonly listeners: ListenerSet
  readonly values: { readonly limits: LimitValues; readonly pool: PoolDefaults }
}

/** The session that listens. */
export interface ListeningSession extends NotifiedClient {
  readonly server: ServerConnection | null
  /** Where its transactions go; null: nowhere at the moment. */
  readonly pool: ServerPool | null
  /** Its client_encoding. */
  readonly encoding: string
  readonly settings: { pin(bits: number): void }
  /** Takes note of how many channels it listens to. */
  noteChannels(count: number): void
  resume(): void
  /** What comes after a transaction and its ReadyForQuery. */
  endTransaction(): void
}

/**
 * - resting: nothing is awaited.
 * - confirming: a request waits until the listener listens to what it is about, and has caught up.
 * - ending: a transaction is over, and its ReadyForQuery waits until it is known what the session listens to now, and
 *   until what was notified before has come.
 * - over: the session is.
 */
type Step = 'resting' | 'confirming' | 'ending' | 'over'

/** What a session listens to, and what it waits for, as JSON can say it. */
export interface ListeningSnapshot {
  readonly channels: readonly string[]
  readonly pending: readonly string[]
  readonly committed: readonly string[]
  readonly fresh: readonly string[]
  readonly foreign: readonly string[]
  readonly step: Step
  readonly isTouched: boolean
  readonly isCaughtUp: boolean
  readonly isRefused: boolean
  readonly outlet: OutletSnapshot | null
}

/** In hexadecimal UTF-8, so that the client_encoding of the moment is of no importance. */
const CHANNELS_SQL =
  "SELECT pg_catalog.encode(pg_catalog.convert_to(c,'UTF8'),'hex') FROM pg_catalog.pg_listening_channels() c"
const NONE: ReadonlySet<string> = new Set()
const writer = new MessageWriter()

/**
 * LISTEN for a session that shares server connections: the plane's listener hears for it, and its server connection only
 * decides what it listens to. So LISTEN and UNLISTEN really run there, in a server connection that has been told what the
 * session listens to already; when the transaction is over it is asked, and by then forgets. What it notifies of is
 * dropped: the listener has it too, in one order. See docs/design/0011-listen.md.
 */
export class SessionListening implements Subscriber {
  readonly #host: ListeningHost
  readonly #session: ListeningSession
  readonly #outlet: NotificationOutlet
  /** What the session listens to, and what it may when its transaction commits. */
  #channels: ReadonlySet<string> = new Set()
  readonly #pending = new Set<string>()
  /** Those of `#pending` that have probably been committed, in the middle of a pipeline: nothing of them is forgotten. */
  #committed: ReadonlySet<string> = NONE
  #listener: NotificationListener | null = null
  #step: Step = 'resting'
  /** Answers that the end of the transaction waits for. */
  #awaited = 0
  /** LISTEN or UNLISTEN has been sent since the session was last asked about. */
  #isTouched = false
  /** In a transaction: what came for `pending` before the present request has been forgotten. */
  #isCaughtUp = false
  /** Nobody could listen for the request that is next: its server connection does. */
  #isRefused = false
  /** Those of `#channels` that the transaction which is ending has added. */
  #fresh: ReadonlySet<string> = NONE
  /** Channels that only its server connection listens to. */
  #foreign: ReadonlySet<string> = NONE

  constructor(host: ListeningHost, session: ListeningSession) {
    this.#host = host
    this.#session = session
    this.#outlet = new NotificationOutlet(host, session)
  }

  /** Null: it listens to nothing and waits for nothing. */
  get snapshot(): ListeningSnapshot | null {
    const outlet = this.#outlet.snapshot
    const isQuiet = this.#step === 'resting' && this.#channels.size + this.#pending.size + this.#foreign.size === 0
    if (isQuiet && !this.#isTouched && !this.#isRefused && outlet === null) return null
    return {
      channels: [...this.#channels],
      pending: [...this.#pending],
      committed: [...this.#committed],
      fresh: [...this.#fresh],
      foreign: [...this.#foreign],
      step: this.#step,
      isTouched: this.#isTouched,
      isCaughtUp: this.#isCaughtUp,
      isRefused: this.#isRefused,
      outlet,
    }
  }

  /** As it was in another process. The session has its server connection. */
  restore(snapshot: ListeningSnapshot): void {
    this.#channels = new Set(snapshot.channels)
    this.#committed = new Set(snapshot.committed)
    this.#fresh = new Set(snapshot.fresh)
    this.#foreign = new Set(snapshot.foreign)
    this.#isTouched = snapshot.isTouched
    this.#isCaughtUp = snapshot.isCaughtUp
    this.#isRefused = snapshot.isRefused
    if (snapshot.outlet !== null) this.#outlet.restore(snapshot.outlet)
    const { pool } = this.#session
    this.#listener = pool === null ? null : this.#host.listeners.for(pool, this.#session.encoding)
    for (const channel of snapshot.pending) this.#pending.add(channel)
    for (const channel of new Set([...this.#channels, ...this.#pending])) this.#listener?.subscribe(channel, this)
    this.#step = snapshot.step
    // What was asked of the listener is asked again; what the server connection was asked is still to be answered there.
    if (this.#step === 'confirming') this.#listener?.sync(this)
    if (this.#step !== 'ending') return
    this.#awaited = 1 + (this.#isTouched ? 1 : 0)
    if (this.#listener !== null) {
      this.#awaited++
      this.#listener.sync(this)
    }
    this.#answered()
  }

  get pool(): ServerPool | null {
    return this.#session.pool
  }

  /** The client's requests have to wait. */
  get isHolding(): boolean {
    return this.#step === 'confirming' || this.#step === 'ending'
  }

  /** The session is closed. */
  get isOver(): boolean {
    return this.#step === 'over'
  }

  /** The end of a transaction is its business. */
  get isConcerned(): boolean {
    return this.#step === 'resting' && (this.#channels.size > 0 || this.#pending.size > 0 || this.#isTouched)
  }

  /**
   * Whether the client's next request may go to its server. While a transaction with a LISTEN is open, what was notified
   * before the request is none of the session's: should it be the COMMIT, nothing of that may be delivered.
   */
  get mayGoOn(): boolean {
    if (this.isHolding) return false
    const { server } = this.#session
    if (this.#pending.size === this.#committed.size || server === null || !server.inTransaction) return true
    if (server.queue.length > 0) {
      // Whatever comes after the answers is another request.
      this.#isCaughtUp = false
      return true
    }
    if (!this.#isCaughtUp) this.#confirm()
    return this.#isCaughtUp
  }

  /** Names of a LISTEN, none for UNLISTEN, that is about to be sent. False: not yet; ask again when the session resumes. */
  admit(channels: readonly string[]): boolean {
    const { server } = this.#session
    // What was asked before is over first: it may notify of what this is to unlisten.
    if (this.isHolding || server === null || server.queue.promised > 0) return false
    const unknown = channels.filter((channel) => this.#isUnknown(channel))
    if (unknown.length > 0 && !this.#isRefused) {
      const listener = this.#listenerNow()
      if (listener !== null) {
        for (const channel of unknown) {
          this.#pending.add(channel)
          listener.subscribe(channel, this)
        }
        this.#confirm()
        return false
      }
    }
    this.#isRefused = false
    this.touch(server)
    return true
  }

  /** What has been sent may change what the session listens to. */
  touch(server: ServerConnection): void {
    this.#isTouched = true
    server.listens = true
  }

  /** SQL that tells a server connection what the session listens to. */
  preamble(server: ServerConnection): string {
    this.#outlet.forgetOwn()
    if (this.#channels.size === 0) return ''
    server.listens = true
    return [...this.#channels].map((channel) => `LISTEN ${quoteIdentifier(channel)}`).join(';')
  }

  /** The server connection has heard this. True: it is the client's, and from nobody else. */
  onServerNotification({ processId, channel }: NotificationHead): boolean {
    if (!this.#channels.has(channel) && !this.#pending.has(channel)) return true
    if (processId === this.#session.server?.identity.backendPid) this.#outlet.countOwn()
    return false
  }

  /** A transaction of the session ends, or has ended, and it is not asked yet what it listens to. */
  onCommit(): void {
    if (this.#isTouched && this.#step === 'resting') this.#committed = new Set(this.#pending)
  }

  /** A transaction goes on after this answer. */
  onInTransaction(): void {
    this.#isCaughtUp = false
  }

  /** A transaction is over, or there was nothing to do on a server connection, and ReadyForQuery is due: sent from here. */
  end(server: ServerConnection | null): void {
    this.#step = 'ending'
    this.#outlet.isShut = true
    this.#awaited = 1
    if (this.#isTouched && server !== null) {
      this.#awaited++
      if (!server.relay.questions.inquire(CHANNELS_SQL)) {
        server.lose(server.link.failure, null)
        return
      }
    }
    if (this.#listener?.isListening) {
      this.#awaited++
      this.#listener.sync(this)
    }
    this.#answered()
  }

  /** The server connection has said what the session listens to; false when that was not asked. */
  onInquired(rows: Rows | null): boolean {
    if (this.#step !== 'ending' || !this.#isTouched) return false
    if (rows === null) {
      const message = 'cannot find out what the session listens to'
      this.#session.close(message, FATAL('08006', message))
      return true
    }
    this.#isTouched = false
    this.#settle(rows.map(([hex]) => Buffer.from(hex ?? '', 'hex').toString('utf8')))
    this.#answered()
    return true
  }

  onSynced(): void {
    if (this.#step === 'confirming') {
      this.#outlet.keepOnly(new Set([...this.#channels, ...this.#committed]))
      this.#isCaughtUp = true
      this.#rest()
    } else if (this.#step === 'ending') this.#answered()
  }

  onSyncLost(): void {
    if (this.#step === 'confirming') this.#listener?.sync(this)
    else if (this.#step === 'ending') this.#answered()
  }

  onListenerFailed(): void {
    if (this.#step === 'ending') this.#answered()
    if (this.#step !== 'confirming') return
    this.#dropPending()
    this.#isRefused = true
    // Its own server connection listens for it then.
    this.#session.settings.pin(PIN.listen)
    this.#rest()
  }

  onNotification(channel: string, message: Buffer): void {
    this.#outlet.put(channel, message, this.#channels.has(channel))
  }

  onGap(milliseconds: number): void {
    if (this.#channels.size === 0) return
    const detail = `the connection that listens for this session was away for ${Math.ceil(milliseconds)} ms`
    const message = 'notifications may have been lost'
    if (this.#host.values.pool.lostNotifications === 'close') {
      this.#session.close(message, { ...FATAL('08006', message), detail })
      return
    }
    writeError(writer.reset(), { severity: 'WARNING', sqlstate: '01000', message, detail })
    this.#outlet.put(null, writer.bytes, true)
  }

  /** Delivers what waits, if it may. */
  flush(): void {
    this.#outlet.flush(this.#channels)
  }

  /**
   * The server connection is gone. True: the transaction was over and its client has been told so now; false: the session
   * loses what it had there.
   */
  onServerLost(): boolean {
    const isUnknown = this.#isTouched && (this.#step === 'ending' || this.#committed.size > 0)
    this.#dropPending()
    this.#outlet.forgetOwn()
    if (this.#step !== 'ending' && !isUnknown) {
      this.#isTouched = false
      return false
    }
    this.#step = 'resting'
    this.#listener?.forget(this)
    if (!isUnknown) {
      this.#outlet.finish(this.#channels, 0, NONE)
      return true
    }
    const message = 'the server connection was lost before it was known what the session listens to'
    this.#session.close(message, FATAL('08006', message))
    return true
  }

  /** The session is over. */
  close(): void {
    this.#step = 'over'
    this.#outlet.isShut = true
    this.#listener?.forget(this)
    for (const channel of this.#channels) this.#listener?.unsubscribe(channel, this)
    this.#dropPending()
    this.#outlet.clear()
  }

  #isUnknown(channel: string): boolean {
    if (this.#channels.has(channel) || this.#pending.has(channel) || this.#foreign.has(channel)) return false
    // What it is called in the database is certain in UTF-8 and in ASCII.
    return this.#session.encoding === 'UTF8' || /^[\0-\x7f]*$/.test(channel)
  }

  /** The same one as long as it delivers anything. */
  #listenerNow(): NotificationListener | null {
    if (this.#channels.size > 0 || this.#pending.size > 0) return this.#listener
    const { pool } = this.#session
    this.#listener = pool === null ? null : this.#host.listeners.for(pool, this.#session.encoding)
    return this.#listener
  }

  #confirm(): void {
    this.#step = 'confirming'
    this.#listener?.sync(this)
  }

  #rest(): void {
    this.#step = 'resting'
    this.flush()
    this.#session.resume()
  }

  /** `channels` are what the server connection listens to. */
  #settle(channels: readonly string[]): void {
    const isShared = (channel: string): boolean => this.#channels.has(channel) || this.#pending.has(channel)
    const next = new Set(channels.filter(isShared))
    // They came about in a way that could not be foreseen, and are heard there and only there.
    this.#foreign = new Set(channels.filter((channel) => !isShared(channel)))
    if (this.#foreign.size > 0) this.#session.settings.pin(PIN.listen)
    for (const channel of new Set([...this.#channels, ...this.#pending])) {
      if (!next.has(channel)) this.#listener?.unsubscribe(channel, this)
    }
    this.#fresh = new Set([...next].filter((channel) => !this.#channels.has(channel)))
    this.#pending.clear()
    this.#committed = NONE
    this.#channels = next
    this.#session.noteChannels(next.size)
  }

  #dropPending(): void {
    for (const channel of this.#pending) {
      if (!this.#channels.has(channel)) this.#listener?.unsubscribe(channel, this)
    }
    this.#pending.clear()
    this.#committed = NONE
  }

  /** One thing less to wait for. */
  #answered(): void {
    this.#awaited--
    if (this.#awaited > 0) return
    this.#dropPending()
    this.#isCaughtUp = false
    this.#step = 'resting'
    const fresh = this.#fresh
    this.#fresh = NONE
    this.#outlet.finish(this.#channels, this.#session.server?.identity.backendPid ?? 0, fresh)
    this.#session.endTransaction()
  }
}
