import type { OwnedFd } from './owned-fd.ts'
import { shutdownWrite } from './socket.ts'

/** The link that nothing more is written to. */
interface EndingLink {
  readonly fd: OwnedFd
  /** Bytes wait for the peer. */
  readonly blocked: boolean
  /** Bytes have been written that the kernel does not have yet. */
  readonly isDelivering: boolean
  /** Says TLS's last word, if there is one. */
  farewell(): void
  watchBytes(): void
}

/** The end of what a peer is sent: what waits and what is held back goes first, then close_notify, then the end of the stream. */
export class LinkFarewell {
  readonly #link: EndingLink
  /** close_notify has not been said. */
  isUnsaid = true

  constructor(link: EndingLink) {
    this.#link = link
  }

  /** As far as it goes now. To be called again when bytes have left. */
  goOn(): void {
    const link = this.#link
    if (this.isUnsaid && !link.isDelivering) {
      link.farewell()
      this.isUnsaid = false
    }
    if (link.blocked) link.watchBytes()
    else if (!link.isDelivering) shutdownWrite(link.fd)
  }
}
