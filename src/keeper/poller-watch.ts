import koffi, { type node } from 'koffi'
import type { Poller } from '../io/poller.ts'

/** How many turns are taken before Node's own events are looked at again. */
const TURNS_PER_WAKE = 4

/**
 * Lets a `Poller` run on Node's event loop: an epoll descriptor is itself readable while one of its descriptors is
 * ready, so libuv watches that single one. For processes that are ordinary Node programs otherwise; a plane's reactor
 * waits on its poller directly.
 */
export class PollerWatch {
  readonly #poller: Poller
  readonly #handle: node.PollHandle
  #scheduled = false
  #closed = false

  constructor(poller: Poller) {
    this.#poller = poller
    // The handle stops silently when it is collected, hence the field. Its callback does not run microtasks and
    // `nextTick` queues when it returns, hence the immediate.
    this.#handle = koffi.node.poll(poller.fd, { readable: true }, () => this.#schedule())
  }

  close(): void {
    this.#closed = true
    this.#handle.close()
  }

  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => this.#turn())
  }

  #turn(): void {
    this.#scheduled = false
    for (let turn = 0; turn < TURNS_PER_WAKE && !this.#closed; turn++) {
      const count = this.#poller.wait(0)
      if (count === 0) return
      this.#poller.dispatch(count)
    }
  }
}
