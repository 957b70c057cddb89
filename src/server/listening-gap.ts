import type { ServerHost } from './server-host.ts'
import type { Subscriptions } from './subscriptions.ts'

/** What a gap needs of the plane. */
export interface GapHost extends Pick<ServerHost, 'now' | 'log'> {
  countPlane(field: 'listenersLost'): void
}

/** The time in which nobody listens for those who want that: what is notified then is lost, and they are told so afterwards. */
export class ListeningGap {
  readonly #host: GapHost
  readonly #subscriptions: Subscriptions
  /** 0: there is none. */
  #since = 0

  constructor(host: GapHost, subscriptions: Subscriptions) {
    this.#host = host
    this.#subscriptions = subscriptions
  }

  get isOpen(): boolean {
    return this.#since > 0
  }

  /** The listening connection is gone. */
  begin(reason: string): void {
    const { isEmpty, channels, subscribers } = this.#subscriptions
    if (isEmpty) return
    if (this.#since === 0) this.#since = this.#host.now
    this.#host.countPlane('listenersLost')
    this.#host.log('warn', 'listening connection lost', { reason, channels, clients: subscribers.size })
  }

  /** Another one listens to everything. */
  end(): void {
    if (this.#since === 0) return
    const milliseconds = this.#host.now - this.#since
    this.#since = 0
    const { subscribers, channels } = this.#subscriptions
    this.#host.log('warn', 'listens again: notifications of the time between are lost', {
      milliseconds: Math.round(milliseconds),
      channels,
      clients: subscribers.size,
    })
    for (const subscriber of [...subscribers.keys()]) subscriber.onGap(milliseconds)
  }

  /** Nobody listens any more who would have to be told. */
  forget(): void {
    this.#since = 0
  }
}
