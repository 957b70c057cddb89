import { PIN } from '../memory/client-slots.ts'
import type { NotificationHead } from '../protocol/notification.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerPool } from '../server/server-pool.ts'
import type { Subscriber } from '../server/subscriber.ts'
import { ChannelLedger, type LedgerSnapshot } from './channel-ledger.ts'
import { CHANNELS_SQL, channelsOf, listenSql } from './channels-sql.ts'
import { FATAL } from './client-host.ts'
import { HeardChannels } from './heard-channels.ts'
import type { ListeningHost, ListeningSession } from './listening-session.ts'
import { NotificationOutlet, type OutletSnapshot } from './notification-outlet.ts'

/**
 * - resting: nothing is awaited.
 * - confirming: a request waits until the listener listens to what it is about, and has caught up.
 * - ending: a transaction is over, and its ReadyForQuery waits until it is known what the session listens to now, and
 *   until what was notified before has come.
 * - over: the session is.
 */
type Step = 'resting' | 'confirming' | 'ending' | 'over'

/** What a session listens to, and what it waits for, as JSON can say it. */
export interface ListeningSnapshot extends LedgerSnapshot {
  readonly step: Step
  readonly isTouched: boolean
  readonly isCaughtUp: boolean
  readonly isRefused: boolean
  readonly outlet: OutletSnapshot | null
}

const NONE: ReadonlySet<string> = new Set()

/**
 * LISTEN for a session that shares server connections: the plane's listener hears for it, and its server connection only
 * decides what it listens to. So LISTEN and UNLISTEN really run there, in a server connection that has been told what the
 * session listens to already; when the transaction is over it is asked, and by then forgets. What it notifies of is
 * dropped: the listener has it too, in one order. See docs/design/0011-listen.md.
 */
export class SessionListening implements Subscriber {
  readonly #session: ListeningSession
  readonly #outlet: NotificationOutlet
  readonly #ledger = new ChannelLedger()
  readonly #heard: HeardChannels
  #step: Step = 'resting'
  /** Answers that the end of the transaction waits for. */
  #awaited = 0
  /** LISTEN or UNLISTEN has been sent since the session was last asked about. */
  #isTouched = false
  /** In a transaction: what came for `pending` before the present request has been forgotten. */
  #isCaughtUp = false
  /** Nobody could listen for the request that is next: its server connection does. */
  #isRefused = false

  constructor(host: ListeningHost, session: ListeningSession) {
    this.#heard = new HeardChannels(host, session, this.#ledger, this)
    this.#session = session
    this.#outlet = new NotificationOutlet(host, session)
  }

  /** Null: it listens to nothing and waits for nothing. */
  get snapshot(): ListeningSnapshot | null {
    const outlet = this.#outlet.snapshot
    const isQuiet = this.#step === 'resting' && this.#ledger.isEmpty
    if (isQuiet && !this.#isTouched && !this.#isRefused && outlet === null) return null
    return {
      ...this.#ledger.snapshot,
      step: this.#step,
      isTouched: this.#isTouched,
      isCaughtUp: this.#isCaughtUp,
      isRefused: this.#isRefused,
      outlet,
    }
  }

  /** As it was in another process. The session has its server connection. */
  restore(snapshot: ListeningSnapshot): void {
    this.#ledger.restore(snapshot)
    this.#isTouched = snapshot.isTouched
    this.#isCaughtUp = snapshot.isCaughtUp
    this.#isRefused = snapshot.isRefused
    if (snapshot.outlet !== null) this.#outlet.restore(snapshot.outlet)
    this.#heard.resume()
    this.#enter(snapshot.step)
    // What was asked of the listener is asked again; what the server connection was asked is still to be answered there.
    if (this.#step === 'confirming') this.#heard.sync()
    else if (this.#step === 'ending') this.#await(this.#isTouched, this.#heard.hasListener)
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
    return this.#step === 'resting' && (!this.#ledger.isSilent || this.#isTouched)
  }

  /**
   * Whether the client's next request may go to its server. While a transaction with a LISTEN is open, what was notified
   * before the request is none of the session's: should it be the COMMIT, nothing of that may be delivered.
   */
  get mayGoOn(): boolean {
    if (this.isHolding) return false
    const { server } = this.#session
    if (!this.#ledger.isOpen || server === null || !server.inTransaction) return true
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
    if (!this.#isRefused && this.#heard.expect(channels)) {
      this.#confirm()
      return false
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
    const { channels } = this.#ledger
    if (channels.size === 0) return ''
    server.listens = true
    return listenSql(channels)
  }

  /** The server connection has heard this. True: it is the client's, and from nobody else. */
  onServerNotification({ processId, channel }: NotificationHead): boolean {
    if (!this.#ledger.hears(channel)) return true
    if (processId === this.#session.server?.identity.backendPid) this.#outlet.countOwn()
    return false
  }

  /** A transaction of the session ends, or has ended, and it is not asked yet what it listens to. */
  onCommit(): void {
    if (this.#isTouched && this.#step === 'resting') this.#ledger.commit()
  }

  /** A transaction goes on after this answer. */
  onInTransaction(): void {
    this.#isCaughtUp = false
  }

  /** A transaction is over, or there was nothing to do on a server connection, and ReadyForQuery is due: sent from here. */
  end(server: ServerConnection | null): void {
    this.#enter('ending')
    this.#outlet.isShut = true
    const isAsked = this.#isTouched && server !== null
    if (isAsked && !server.relay.questions.inquire(CHANNELS_SQL)) server.lose(server.link.failure, null)
    else this.#await(isAsked, this.#heard.isListening)
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
    this.#heard.settle(channelsOf(rows))
    if (this.#ledger.hasForeign) this.#session.settings.pin(PIN.listen)
    this.#session.memory.channels(this.#ledger.channels.size)
    this.#answered()
    return true
  }

  onSynced(): void {
    if (this.#step === 'confirming') {
      this.#outlet.keepOnly(this.#ledger.certain)
      this.#isCaughtUp = true
      this.#rest()
    } else if (this.#step === 'ending') this.#answered()
  }

  onSyncLost(): void {
    if (this.#step === 'confirming') this.#heard.sync()
    else if (this.#step === 'ending') this.#answered()
  }

  onListenerFailed(): void {
    if (this.#step === 'ending') this.#answered()
    if (this.#step !== 'confirming') return
    this.#heard.abandon()
    this.#isRefused = true
    // Its own server connection listens for it then.
    this.#session.settings.pin(PIN.listen)
    this.#rest()
  }

  onNotification(channel: string, message: Buffer): void {
    this.#outlet.put(channel, message, this.#ledger.channels.has(channel))
  }

  onGap(milliseconds: number): void {
    if (this.#ledger.channels.size > 0) this.#outlet.gap(milliseconds)
  }

  /** Delivers what waits, if it may. */
  flush(): void {
    this.#outlet.flush(this.#ledger.channels)
  }

  /**
   * The server connection is gone. True: the transaction was over and its client has been told so now; false: the session
   * loses what it had there.
   */
  onServerLost(): boolean {
    const isUnknown = this.#isTouched && (this.#step === 'ending' || this.#ledger.mayHaveCommitted)
    this.#heard.abandon()
    this.#outlet.forgetOwn()
    if (this.#step !== 'ending' && !isUnknown) {
      this.#isTouched = false
      return false
    }
    this.#enter('resting')
    this.#heard.forget()
    if (!isUnknown) {
      this.#outlet.finish(this.#ledger.channels, 0, NONE)
      return true
    }
    const message = 'the server connection was lost before it was known what the session listens to'
    this.#session.close(message, FATAL('08006', message))
    return true
  }

  /** The session is over. */
  close(): void {
    this.#enter('over')
    this.#outlet.isShut = true
    this.#heard.close()
    this.#outlet.clear()
  }

  #confirm(): void {
    this.#enter('confirming')
    this.#heard.sync()
  }

  #rest(): void {
    this.#enter('resting')
    this.flush()
    this.#session.resume()
  }

  /** The transaction's end waits for the answers of the server connection and of the listener. */
  #await(isServerAsked: boolean, isListenerAsked: boolean): void {
    this.#awaited = 1 + (isServerAsked ? 1 : 0) + (isListenerAsked ? 1 : 0)
    if (isListenerAsked) this.#heard.sync()
    this.#answered()
  }

  /** One thing less to wait for. */
  #answered(): void {
    this.#awaited--
    if (this.#awaited > 0) return
    this.#heard.abandon()
    this.#isCaughtUp = false
    this.#enter('resting')
    this.#outlet.finish(this.#ledger.channels, this.#session.server?.identity.backendPid ?? 0, this.#ledger.takeFresh())
    this.#session.endTransaction()
  }

  /** The one setter. */
  #enter(step: Step): void {
    if (this.#step === 'over') throw new Error(`session listening: ${step} when the session is over`)
    this.#step = step
  }
}
