import type { NotificationListener } from '../server/notification-listener.ts'
import type { Subscriber } from '../server/subscriber.ts'
import type { ChannelLedger } from './channel-ledger.ts'
import type { ListeningHost, ListeningSession } from './listening-session.ts'

/** The session that others hear for. */
type HearingSession = Pick<ListeningSession, 'pool' | 'encoding'>

/**
 * Has the plane's listener hear for one session what its ledger says, and no more. So whatever changes what is in the ledger
 * goes through here.
 */
export class HeardChannels {
  readonly #host: Pick<ListeningHost, 'listeners'>
  readonly #session: HearingSession
  readonly #ledger: ChannelLedger
  readonly #subscriber: Subscriber
  #listener: NotificationListener | null = null

  /** `subscriber` is told what is heard, and answered `sync`. */
  constructor(
    host: Pick<ListeningHost, 'listeners'>,
    session: HearingSession,
    ledger: ChannelLedger,
    subscriber: Subscriber,
  ) {
    this.#host = host
    this.#session = session
    this.#ledger = ledger
    this.#subscriber = subscriber
  }

  /** Somebody can be asked with `sync`. */
  get hasListener(): boolean {
    return this.#listener !== null
  }

  /** Somebody listens at this moment. */
  get isListening(): boolean {
    return this.#listener?.isListening === true
  }

  /** What the ledger has from another process is heard here. */
  resume(): void {
    this.#seek()
    for (const channel of this.#ledger.heard) this.#listener?.subscribe(channel, this.#subscriber)
  }

  /** The session may listen to these when its transaction commits. False: nobody hears any of them who has not done so before. */
  expect(channels: readonly string[]): boolean {
    const unknown = channels.filter((channel) => this.#isUnknown(channel))
    // The same listener as long as it delivers anything.
    if (unknown.length > 0 && this.#ledger.isSilent) this.#seek()
    if (this.#listener === null) return false
    for (const channel of unknown) {
      this.#ledger.expect(channel)
      this.#listener.subscribe(channel, this.#subscriber)
    }
    return unknown.length > 0
  }

  /** The server connection listens to `found`, once the transaction is over. */
  settle(found: readonly string[]): void {
    this.#forgo(this.#ledger.settle(found))
  }

  /** Nothing comes of what was expected. */
  abandon(): void {
    this.#forgo(this.#ledger.abandon())
  }

  /** As `NotificationListener.sync`. */
  sync(): void {
    this.#listener?.sync(this.#subscriber)
  }

  /** Nobody waits for the answer any more. */
  forget(): void {
    this.#listener?.forget(this.#subscriber)
  }

  /** The session is over. */
  close(): void {
    this.forget()
    this.#forgo(this.#ledger.channels)
    this.abandon()
  }

  #forgo(channels: Iterable<string>): void {
    for (const channel of channels) this.#listener?.unsubscribe(channel, this.#subscriber)
  }

  #isUnknown(channel: string): boolean {
    // What it is called in the database is certain in UTF-8 and in ASCII.
    return !this.#ledger.knows(channel) && (this.#session.encoding === 'UTF8' || /^[\0-\x7f]*$/.test(channel))
  }

  #seek(): void {
    const { pool, encoding } = this.#session
    this.#listener = pool === null ? null : this.#host.listeners.for(pool, encoding)
  }
}
