import type { Link } from '../io/link.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeReady } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { LimitValues, PoolDefaults } from '../shard/plane-values.ts'
import { FATAL } from './client-host.ts'
import type { ClientSlot } from './client-slot.ts'
import { WaitingNotifications, type WaitingSnapshot } from './waiting-notifications.ts'

/** What an outlet needs of its plane: how much may wait for one client, and what becomes of one that is too slow. */
export interface OutletHost {
  readonly values: { readonly limits: LimitValues; readonly pool: Pick<PoolDefaults, 'lostNotifications'> }
  countPlane(field: 'slowListeners'): void
}

/** Who gets the notifications. */
export interface NotifiedClient {
  readonly link: Link
  readonly memory: ClientSlot
  /** Something is asked and not answered, or a transaction is open: PostgreSQL would keep notifications to itself. */
  readonly isBusy: boolean
  send(bytes: Uint8Array): void
  close(reason: string, fields: ErrorFields | null): void
}

/** What another process needs to go on with an outlet. */
export interface OutletSnapshot {
  readonly waiting: WaitingSnapshot
  readonly own: number
  readonly isShut: boolean
}

const writer = new MessageWriter()

/**
 * The way of notifications to one client: at once when it is idle and reads, else in its turn, and not more of them than it
 * may keep waiting.
 */
export class NotificationOutlet {
  readonly #host: OutletHost
  readonly #client: NotifiedClient
  readonly #waiting = new WaitingNotifications()
  /** Those of its own doing among what waits, or will. */
  #own = 0
  /** Nothing may go to the client: a ReadyForQuery that it is owed comes first. */
  isShut = false

  constructor(host: OutletHost, client: NotifiedClient) {
    this.#host = host
    this.#client = client
  }

  /** Null: nothing waits. */
  get snapshot(): OutletSnapshot | null {
    if (this.#waiting.isEmpty && this.#own === 0 && !this.isShut) return null
    return { waiting: this.#waiting.snapshot, own: this.#own, isShut: this.isShut }
  }

  /** As another process had it. */
  restore({ waiting, own, isShut }: OutletSnapshot): void {
    this.#waiting.restore(waiting)
    this.#own = own
    this.isShut = isShut
  }

  /** `channel` null: a notice of ours, for the client whatever it listens to. `isWanted`: it listens to it for certain. */
  put(channel: string | null, message: Uint8Array, isWanted: boolean): void {
    if (isWanted && this.#waiting.isEmpty && this.#isOpen) this.#client.send(message)
    else this.#keep(channel, message)
  }

  /** Nobody has heard for the client for so long: it is told, or its connection closed, whichever the configuration says. */
  gap(milliseconds: number): void {
    const detail = `the connection that listens for this session was away for ${Math.ceil(milliseconds)} ms`
    const message = 'notifications may have been lost'
    if (this.#host.values.pool.lostNotifications === 'close') {
      this.#client.close(message, { ...FATAL('08006', message), detail })
      return
    }
    writeError(writer.reset(), { severity: 'WARNING', sqlstate: '01000', message, detail })
    this.put(null, writer.bytes, true)
  }

  /** Forgets what waits for channels that are not in `channels`. */
  keepOnly(channels: ReadonlySet<string>): void {
    this.#waiting.keepOnly(channels)
  }

  /** The client's server connection has heard a notification of its own process. */
  countOwn(): void {
    this.#own++
  }

  forgetOwn(): void {
    this.#own = 0
  }

  /** What waits for these channels goes to the client, if it may; what waits for others is forgotten. */
  flush(channels: ReadonlySet<string>): void {
    if (this.#waiting.isEmpty || !this.#isOpen) return
    this.#waiting.keepOnly(channels)
    this.#client.send(this.#waiting.take())
  }

  /**
   * The same, whatever the client does, and the answer that its transaction is over. `backendPid`: where it ran, or 0.
   * `fresh`: channels that it has listened to only since.
   */
  finish(channels: ReadonlySet<string>, backendPid: number, fresh: ReadonlySet<string>): void {
    this.isShut = false
    this.#waiting.keepOnly(channels)
    this.#waiting.claim(this.#own, backendPid, this.#client.memory.processId, fresh)
    this.#own = 0
    writeReady(writer.reset(), STATUS.idle)
    this.#client.send(this.#waiting.isEmpty ? writer.bytes : Buffer.concat([this.#waiting.take(), writer.bytes]))
  }

  clear(): void {
    this.#waiting.clear()
  }

  get #isOpen(): boolean {
    return !this.isShut && !this.#client.isBusy && !this.#client.link.blocked
  }

  /** Within the bound: a client that never gets to them must not fill the memory of all. */
  #keep(channel: string | null, message: Uint8Array): void {
    this.#waiting.add(channel, message)
    if (this.#waiting.bytes <= this.#host.values.limits.notificationBytes) return
    this.#host.countPlane('slowListeners')
    const text = 'too many notifications wait for this client'
    const hint = 'listen in a connection that is read from at all times, or raise limits.waiting_notifications'
    this.#client.close(text, FATAL('53400', text, hint))
  }
}
