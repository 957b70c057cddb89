import { notifierOf, replaceNotifier } from '../protocol/notification.ts'

/** What each one costs besides its own bytes. */
const OVERHEAD_BYTES = 64

interface Waiting {
  /** Null: a notice of ours, for the client whatever it listens to. */
  readonly channel: string | null
  readonly message: Buffer
}

export type WaitingSnapshot = readonly (readonly [string | null, string])[]

/** Notifications that a client cannot be given yet, in order. Whoever adds looks at `bytes` and keeps a bound. */
export class WaitingNotifications {
  #list: Waiting[] = []
  #bytes = 0

  get isEmpty(): boolean {
    return this.#list.length === 0
  }

  /** Of memory, about. */
  get bytes(): number {
    return this.#bytes
  }

  /** As JSON can say them; messages in base64. */
  get snapshot(): WaitingSnapshot {
    return this.#list.map(({ channel, message }) => [channel, message.toString('base64')])
  }

  restore(snapshot: WaitingSnapshot): void {
    for (const [channel, message] of snapshot) this.add(channel, Buffer.from(message, 'base64'))
  }

  /** `message` is copied. */
  add(channel: string | null, message: Uint8Array): void {
    this.#list.push({ channel, message: Buffer.from(message) })
    this.#bytes += message.length + OVERHEAD_BYTES
  }

  /** Forgets those of channels that are not in `channels`. */
  keepOnly(channels: ReadonlySet<string>): void {
    this.#keep(({ channel }) => channel === null || channels.has(channel))
  }

  #keep(isKept: (waiting: Waiting) => boolean): void {
    this.#list = this.#list.filter(isKept)
    this.#bytes = this.#list.reduce((sum, { message }) => sum + message.length + OVERHEAD_BYTES, 0)
  }

  /**
   * The last `count` notifications of process `own` were the client's own doing: it gets them as from `shown`. A server
   * connection's process has served others before, whose notifications may be among those in front. On channels that are
   * listened to only since, `fresh`, those are forgotten: that process committed them before it committed the LISTEN.
   */
  claim(count: number, own: number, shown: number, fresh: ReadonlySet<string>): void {
    let left = count
    let isStale = false
    for (let at = this.#list.length - 1; at >= 0; at--) {
      const { channel, message } = this.#list[at] as Waiting
      if (channel === null || notifierOf(message) !== own) continue
      if (left-- > 0) replaceNotifier(message, shown)
      else isStale ||= fresh.has(channel)
    }
    if (isStale)
      this.#keep(({ channel, message }) => notifierOf(message) !== own || channel === null || !fresh.has(channel))
  }

  /** All of them, one behind the other; they wait no longer. */
  take(): Buffer {
    const messages = this.#list.map(({ message }) => message)
    this.clear()
    return Buffer.concat(messages)
  }

  clear(): void {
    this.#list = []
    this.#bytes = 0
  }
}
