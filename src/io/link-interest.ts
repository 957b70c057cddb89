import type { OwnedFd } from './owned-fd.ts'
import { ONCE, PEER_ENDED, type Poller, type PollTarget, READABLE, WRITABLE } from './poller.ts'

/** Told once, or the kernel would look at each socket again behind every read (docs/performance.md). */
const BYTES = READABLE | PEER_ENDED | ONCE

/** What a poller is to tell the owner of one descriptor. The kernel is asked only when that changes. */
export class LinkInterest {
  readonly #poller: Poller
  readonly #fd: OwnedFd
  readonly #target: PollTarget
  #key = -1
  #events = 0
  /** Whether bytes are to be read; when not, whether it matters that none come any more. */
  reading = true
  endMatters = false

  constructor(poller: Poller, fd: OwnedFd, target: PollTarget) {
    this.#poller = poller
    this.#fd = fd
    this.#target = target
  }

  /** The last that was wanted includes this. */
  includes(events: number): boolean {
    return (this.#events & events) !== 0
  }

  /**
   * Bytes, or the end, and, when the peer is `blocked`, room for what waits. `tellsAll`: whoever reads says with `tellAgain` when
   * he may have left some, which with TLS is not known.
   */
  watch(blocked: boolean, tellsAll: boolean): void {
    if (this.reading && !blocked && tellsAll) {
      this.want(BYTES)
      return
    }
    const read = this.reading ? READABLE : this.endMatters ? PEER_ENDED : 0
    this.want(read | (blocked ? WRITABLE : 0))
  }

  want(events: number): void {
    if (this.#key >= 0 && events === this.#events) return
    this.#events = events
    if (this.#key < 0) this.#key = this.#poller.add(this.#fd, events, this.#target)
    else this.#poller.change(this.#key, this.#fd, events)
  }

  /** What is there by now is told once more. */
  tellAgain(): void {
    if (this.#key >= 0 && this.#events === BYTES) this.#poller.change(this.#key, this.#fd, BYTES)
  }

  /** Nothing is wanted until the next `want`, not even what is always reported. */
  end(): void {
    if (this.#key < 0) return
    this.#poller.remove(this.#key, this.#fd)
    this.#key = -1
  }
}
