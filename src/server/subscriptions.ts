import type { Subscriber } from './subscriber.ts'

/** Who listens to what, and which channels a server connection has not been told of yet. */
export class Subscriptions {
  readonly #channels = new Map<string, Set<Subscriber>>()
  /** Channels of each; the same facts from the other side. */
  readonly #subscribers = new Map<Subscriber, Set<string>>()
  /** Channels that got their first subscriber or lost their last one since `take`. */
  readonly #changed = new Set<string>()

  get isEmpty(): boolean {
    return this.#channels.size === 0
  }

  get channels(): number {
    return this.#channels.size
  }

  get subscribers(): ReadonlyMap<Subscriber, ReadonlySet<string>> {
    return this.#subscribers
  }

  /** The server connection has to be told something. */
  get hasChanged(): boolean {
    return this.#changed.size > 0
  }

  /** Harmless when it is there already. */
  add(channel: string, subscriber: Subscriber): void {
    let subscribers = this.#channels.get(channel)
    if (subscribers === undefined) {
      subscribers = new Set()
      this.#channels.set(channel, subscribers)
      this.#changed.add(channel)
    }
    subscribers.add(subscriber)
    const channels = this.#subscribers.get(subscriber)
    if (channels === undefined) this.#subscribers.set(subscriber, new Set([channel]))
    else channels.add(channel)
  }

  /** Harmless when it is not there. */
  delete(channel: string, subscriber: Subscriber): void {
    const subscribers = this.#channels.get(channel)
    if (subscribers?.delete(subscriber) !== true) return
    if (subscribers.size === 0) {
      this.#channels.delete(channel)
      this.#changed.add(channel)
    }
    const channels = this.#subscribers.get(subscriber)
    channels?.delete(channel)
    if (channels?.size === 0) this.#subscribers.delete(subscriber)
  }

  /** In no order that means anything. */
  of(channel: string): Iterable<Subscriber> {
    return this.#channels.get(channel) ?? []
  }

  /** Channels to LISTEN to and to UNLISTEN since the last time. */
  take(): { readonly listen: readonly string[]; readonly unlisten: readonly string[] } {
    const listen: string[] = []
    const unlisten: string[] = []
    for (const channel of this.#changed) (this.#channels.has(channel) ? listen : unlisten).push(channel)
    this.#changed.clear()
    return { listen, unlisten }
  }

  /** A server connection that listens to nothing yet: it has to be told everything. */
  startOver(): void {
    this.#changed.clear()
    for (const channel of this.#channels.keys()) this.#changed.add(channel)
  }
}
