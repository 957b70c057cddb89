import { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, type PollTarget, READABLE, WRITABLE } from '../io/poller.ts'
import type { ListeningPlace } from '../memory/keeper-control-protocol.ts'
import {
  type Adoptee,
  decodeKeeperMessage,
  encodePlaneMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_DESCRIPTORS,
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
  /** One of those that this process was given ahead had left before its turn. */
  onEnded(client: SlotReference): void
  /** That was all of the predecessor; told once. */
  onServe(): void
  /** This process must end after this wake-up. */
  onRelease(): void
  /** The keeper is dead, and everything that it said last was heard: `attach` when there is another one. */
  onKeeperGone(): void
  /** Every client that is served. */
  clients(): Iterable<HeldClient>
}

/** A client connection that is open. */
export interface HeldClient extends SlotReference {
  readonly fd: OwnedFd
}

/** What a plane says of itself to a keeper that did not start it, with the descriptors of shared memory and lock. */
export interface Introduction {
  readonly adoptee: Omit<Adoptee, 'listeners'>
  readonly fds: readonly number[]
}

interface Kept {
  readonly reference: SlotReference
  readonly fd: OwnedFd
}

interface Listener {
  readonly place: ListeningPlace
  readonly fd: OwnedFd
}

interface Attached {
  readonly channel: FdChannel
  readonly fd: OwnedFd
  readonly key: number
}

/**
 * The plane's end of the channel to the keeper, and to the one after it. What the plane says is gathered and leaves once per
 * wake-up, in `flush`, after all bytes of that wake-up: the keeper shuts down what is gone, and the last answer to a client
 * may be among those bytes. It also has what the next keeper has to get: listeners, and the server connections that this one
 * holds.
 */
export class KeeperLink implements PollTarget {
  readonly #poller: Poller
  readonly #owner: KeeperLinkOwner
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  readonly #listeners: Listener[] = []
  /** By slot. */
  readonly #servers = new Map<number, Kept>()
  #attached: Attached | null
  #isInstructed = false
  #isReady = false
  #isReadyDue = false
  #awaitsRoom = false
  #introduction: { readonly message: PlaneMessage; readonly fds: () => readonly number[] }[] = []
  #gone: SlotReference[] = []
  #dropped: SlotReference[] = []
  #kept: Kept[] = []

  constructor(poller: Poller, channel: FdChannel, fd: OwnedFd, owner: KeeperLinkOwner) {
    this.#poller = poller
    this.#owner = owner
    this.#attached = { channel, fd, key: poller.add(fd, READABLE, this) }
  }

  /** It has said that this process is to serve, or to end, or it is gone. */
  get isInstructed(): boolean {
    return this.#isInstructed || this.#attached === null
  }

  get isAttached(): boolean {
    return this.#attached !== null
  }

  /** Tells the keeper that clients may come. */
  ready(): void {
    this.#isReady = true
    this.#isReadyDue = true
  }

  /** The last word: this process touches nothing any more. */
  released(): void {
    this.flush()
    if (!this.#awaitsRoom) this.#send({ op: 'released' })
  }

  gone(client: SlotReference): void {
    this.#gone.push(client)
  }

  /** The keeper gets a duplicate of `fd`, unless that is closed before there is room in the channel. */
  keep(server: SlotReference, fd: OwnedFd): void {
    const kept = { reference: server, fd }
    this.#servers.set(server.slot, kept)
    this.#kept.push(kept)
  }

  /** Harmless for one that the keeper does not have. */
  drop(server: SlotReference): void {
    if (this.#servers.get(server.slot)?.reference.generation === server.generation) this.#servers.delete(server.slot)
    this.#dropped.push(server)
  }

  /** There is a keeper again: it gets everything. */
  attach(fd: OwnedFd, { adoptee, fds }: Introduction): void {
    const channel = new FdChannel(fd, MAX_PACKET_BYTES)
    this.#attached = { channel, fd, key: this.#poller.add(fd, READABLE, this) }
    // It knows nothing of what is not held any more.
    this.#gone = []
    this.#dropped = []
    this.#kept = []
    const listeners = this.#listeners
    this.#introduction = [
      { message: { op: 'adopt', adoptee: { ...adoptee, listeners: listeners.length } }, fds: () => fds },
      ...listeners.map(({ place, fd: at }) => ({ message: { op: 'listener', place } as const, fds: () => [at.fd] })),
      ...this.#holdings(),
    ]
    this.#isReadyDue = this.#isReady
  }

  onReady(): void {
    // The kernel may say once that the keeper left packets of ours unread, before it gives out the keeper's own.
    for (let refusals = 0; this.#attached !== null; ) {
      const received = this.#attached.channel.receive()
      if (received === 'empty') return
      if (received === 'gone') {
        refusals++
        if (refusals === 2) this.#detach()
        continue
      }
      this.#onMessage(decodeKeeperMessage(received.bytes), received.fds)
    }
  }

  /** The end of a wake-up. What a full channel does not take is tried again when there is room, or at the next wake-up. */
  flush(): void {
    if (this.#attached === null) return
    const isAllSent = this.#sendIntroduction() && this.#sendNews()
    if (!isAllSent === this.#awaitsRoom || this.#attached === null) return
    this.#awaitsRoom = !isAllSent
    const { key, fd } = this.#attached
    this.#poller.change(key, fd, isAllSent ? READABLE : READABLE | WRITABLE)
  }

  #sendIntroduction(): boolean {
    for (let next = this.#introduction[0]; next !== undefined; next = this.#introduction[0]) {
      if (!this.#send(next.message, next.fds())) return false
      this.#introduction.shift()
    }
    return true
  }

  #sendNews(): boolean {
    if (this.#isReadyDue) {
      if (!this.#send({ op: 'ready' })) return false
      this.#isReadyDue = false
    }
    while (this.#gone.length > 0) {
      const clients = this.#gone.slice(0, MAX_PACKET_REFERENCES)
      if (!this.#send({ op: 'gone', clients })) return false
      this.#gone = this.#gone.slice(clients.length)
    }
    while (this.#dropped.length > 0) {
      const servers = this.#dropped.slice(0, MAX_PACKET_REFERENCES)
      if (!this.#send({ op: 'drop', servers })) return false
      this.#dropped = this.#dropped.slice(servers.length)
    }
    // After the news that an earlier connection has left the slot.
    for (let next = this.#kept[0]; next !== undefined; next = this.#kept[0]) {
      if (!next.fd.closed && !this.#send({ op: 'put', servers: [next.reference] }, [next.fd.fd])) return false
      this.#kept.shift()
    }
    return true
  }

  /** Clients and server connections in packets of their own; who is closed meanwhile is sent no descriptor of, nor named. */
  *#holdings(): Generator<{ readonly message: PlaneMessage; readonly fds: () => readonly number[] }> {
    const clients = [...this.#owner.clients()].map(({ slot, generation, fd }) => ({
      reference: { slot, generation },
      fd,
    }))
    for (const [op, all] of [
      ['have', clients],
      ['put', [...this.#servers.values()]],
    ] as const) {
      for (let at = 0; at < all.length; at += MAX_PACKET_DESCRIPTORS)
        yield holding(op, all.slice(at, at + MAX_PACKET_DESCRIPTORS))
    }
  }

  #detach(): void {
    const attached = this.#attached
    if (attached === null) return
    this.#attached = null
    this.#awaitsRoom = false
    this.#introduction = []
    this.#poller.remove(attached.key, attached.fd)
    attached.channel.close()
    this.#owner.onKeeperGone()
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
          if (fd === undefined) {
            this.#dropped.push(server)
            continue
          }
          this.#servers.set(server.slot, { reference: server, fd })
          owner.onKeptServer(server, fd)
        }
        return
      case 'ended':
        for (const client of message.clients) owner.onEnded(client)
        return
      case 'serve':
        this.#isInstructed = true
        owner.onServe()
        return
      case 'release':
        this.#isInstructed = true
        owner.onRelease()
        return
      case 'ahead':
        // Those come before, and are taken then.
        for (const fd of fds) fd.close()
        return
      case 'listener':
        if (fds[0] !== undefined) this.#listeners.push({ place: message.place, fd: fds[0] })
    }
  }

  #send(message: PlaneMessage, fds: readonly number[] = []): boolean {
    const channel = this.#attached?.channel
    return channel?.send(this.#packet, encodePlaneMessage(message, this.#packet), fds) === 'sent'
  }
}

/** One packet, made when it leaves: who is closed by then is not in it. */
function holding(
  op: 'have' | 'put',
  all: readonly Kept[],
): { readonly message: PlaneMessage; readonly fds: () => readonly number[] } {
  let open: readonly Kept[] = []
  const references = () => open.map(({ reference }) => reference)
  return {
    get message(): PlaneMessage {
      open = all.filter(({ fd }) => !fd.closed)
      return op === 'have' ? { op, clients: references() } : { op, servers: references() }
    },
    fds: () => open.map(({ fd }) => fd.fd),
  }
}
