import type { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import {
  decodeKeeperMessage,
  encodePlaneMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_REFERENCES,
  type NewClient,
  type PlaneMessage,
  type SlotReference,
} from '../memory/keeper-protocol.ts'

/** What the keeper's messages do in the plane. */
export interface KeeperLinkOwner {
  onNewClient(client: NewClient, fd: OwnedFd): void
  /** The keeper is gone: this process must end. */
  onKeeperGone(): void
}

/** The plane's end of the channel to the keeper. GONE messages are gathered and leave once per wake-up, in `flush`. */
export class KeeperLink implements PollTarget {
  readonly #channel: FdChannel
  readonly #owner: KeeperLinkOwner
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  #gone: SlotReference[] = []
  #dropped: SlotReference[] = []

  constructor(poller: Poller, channel: FdChannel, fd: OwnedFd, owner: KeeperLinkOwner) {
    this.#channel = channel
    this.#owner = owner
    poller.add(fd, READABLE, this)
  }

  /** Tells the keeper that clients may come. */
  ready(): void {
    this.#channel.send(this.#packet, encodePlaneMessage({ op: 'ready' }, this.#packet), [])
  }

  gone(client: SlotReference): void {
    this.#gone.push(client)
  }

  /** Sent at once, because it carries the descriptor. A keeper too busy to take it will not have this one. */
  keep(server: SlotReference, fd: OwnedFd): void {
    this.flush()
    const length = encodePlaneMessage({ op: 'put', servers: [server] }, this.#packet)
    this.#channel.send(this.#packet, length, [fd.fd])
  }

  /** Harmless for one that the keeper does not have. */
  drop(server: SlotReference): void {
    this.#dropped.push(server)
  }

  onReady(): void {
    for (;;) {
      const received = this.#channel.receive()
      if (received === 'empty') return
      if (received === 'gone') {
        this.#owner.onKeeperGone()
        return
      }
      const { clients } = decodeKeeperMessage(received.bytes)
      for (const [index, client] of clients.entries()) {
        const fd = received.fds[index]
        // Out of descriptors: the kernel dropped this one on the way.
        if (fd === undefined) this.#gone.push(client)
        else this.#owner.onNewClient(client, fd)
      }
    }
  }

  /** What a full channel does not take is tried again at the next wake-up, of which there is one a second at least. */
  flush(): void {
    while (this.#gone.length > 0) {
      const clients = this.#gone.slice(0, MAX_PACKET_REFERENCES)
      if (!this.#send({ op: 'gone', clients })) return
      this.#gone = this.#gone.slice(clients.length)
    }
    while (this.#dropped.length > 0) {
      const servers = this.#dropped.slice(0, MAX_PACKET_REFERENCES)
      if (!this.#send({ op: 'drop', servers })) return
      this.#dropped = this.#dropped.slice(servers.length)
    }
  }

  #send(message: PlaneMessage): boolean {
    return this.#channel.send(this.#packet, encodePlaneMessage(message, this.#packet), []) === 'sent'
  }
}
