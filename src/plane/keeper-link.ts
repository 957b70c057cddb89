import type { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE } from '../io/poller.ts'
import {
  decodeKeeperMessage,
  encodePlaneMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_REFERENCES,
  type NewClient,
  type PlaneMessage,
  type SlotReference,
} from '../memory/keeper-protocol.ts'

/** What the keeper's messages do in the plane. */
export interface KeeperLinkOwner {
  onNewClient(client: NewClient, fd: OwnedFd): void
  /** A client that this plane's predecessor had. */
  onKeptClient(client: SlotReference, fd: OwnedFd): void
  /** A server connection that it had. */
  onKeptServer(server: SlotReference, fd: OwnedFd): void
  /** That was all of the predecessor; told once. */
  onServe(): void
  /** A successor waits: this process must end after this wake-up. */
  onRelease(): void
  /** The keeper is gone: this process must end. */
  onKeeperGone(): void
}

/** The plane's end of the channel to the keeper. What the plane says is gathered and leaves once per wake-up, in `flush`. */
export class KeeperLink implements PollTarget {
  readonly #channel: FdChannel
  readonly #owner: KeeperLinkOwner
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  #isReadyDue = false
  #gone: SlotReference[] = []
  #dropped: SlotReference[] = []
  #kept: { readonly server: SlotReference; readonly fd: OwnedFd }[] = []

  constructor(poller: Poller, channel: FdChannel, fd: OwnedFd, owner: KeeperLinkOwner) {
    this.#channel = channel
    this.#owner = owner
    poller.add(fd, READABLE, this)
  }

  /** Tells the keeper that clients may come. */
  ready(): void {
    this.#isReadyDue = true
    this.flush()
  }

  gone(client: SlotReference): void {
    this.#gone.push(client)
  }

  /** The keeper gets a duplicate of `fd`, unless that is closed before there is room in the channel. */
  keep(server: SlotReference, fd: OwnedFd): void {
    this.#kept.push({ server, fd })
    this.flush()
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
      this.#onMessage(decodeKeeperMessage(received.bytes), received.fds)
    }
  }

  /** What a full channel does not take is tried again at the next wake-up, of which there is one a second at least. */
  flush(): void {
    if (this.#isReadyDue) {
      if (!this.#send({ op: 'ready' })) return
      this.#isReadyDue = false
    }
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
    // After the news that an earlier connection has left the slot.
    for (let next = this.#kept[0]; next !== undefined; next = this.#kept[0]) {
      if (!next.fd.closed && !this.#send({ op: 'put', servers: [next.server] }, [next.fd.fd])) return
      this.#kept.shift()
    }
  }

  #onMessage(message: KeeperMessage, fds: readonly OwnedFd[]): void {
    const owner = this.#owner
    // Out of descriptors: the kernel dropped the last ones on the way, and nobody can serve them.
    switch (message.op) {
      case 'new':
        for (const [at, client] of message.clients.entries()) {
          const fd = fds[at]
          if (fd === undefined) this.#gone.push(client)
          else owner.onNewClient(client, fd)
        }
        return
      case 'keep-clients':
        for (const [at, client] of message.clients.entries()) {
          const fd = fds[at]
          if (fd === undefined) this.#gone.push(client)
          else owner.onKeptClient(client, fd)
        }
        return
      case 'keep-servers':
        for (const [at, server] of message.servers.entries()) {
          const fd = fds[at]
          if (fd === undefined) this.#dropped.push(server)
          else owner.onKeptServer(server, fd)
        }
        return
      case 'serve':
        owner.onServe()
        return
      case 'release':
        owner.onRelease()
    }
  }

  #send(message: PlaneMessage, fds: readonly number[] = []): boolean {
    return this.#channel.send(this.#packet, encodePlaneMessage(message, this.#packet), fds) === 'sent'
  }
}
