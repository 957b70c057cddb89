import { FdChannel, type Received, type SendResult } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import {
  encodeKeeperMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_DESCRIPTORS,
  MAX_PACKET_REFERENCES,
  type NewClient,
  type SlotReference,
} from '../memory/keeper-protocol.ts'
import type { HandOver } from './hand-over.ts'
import type { KeptListener } from './orphans.ts'

/** The descriptor of a connection that is still held, asked when it is sent; null when it is gone. */
export interface Descriptors {
  client(slot: number): number | null
  server(slot: number): number | null
  /** Of the places where clients connect. */
  readonly listeners: readonly KeptListener[]
}

/**
 * The keeper's end of the channel to one plane process. Messages wait here, in order, while the plane does not read; new
 * clients wait until it has said that they may come. Owns its end of the channel.
 */
export class PlaneChannel {
  readonly #channel: FdChannel
  readonly #descriptors: Descriptors
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  #orders: KeeperMessage[] = []
  #newClients: NewClient[] = []
  /** Generations of the clients whose descriptors the plane has before its turn, by slot. */
  readonly #ahead = new Map<number, number>()
  #unprepared = 0
  #isOpen = false
  #isBacklogged = false

  constructor(fd: OwnedFd, descriptors: Descriptors) {
    this.#channel = new FdChannel(fd, MAX_PACKET_BYTES)
    this.#descriptors = descriptors
  }

  /** The last `flush` did not get rid of everything. */
  get isBacklogged(): boolean {
    return this.#isBacklogged
  }

  /** How much waits: shrinks when a `flush` gets somewhere. */
  get waiting(): number {
    return this.#orders.length + this.#newClients.length
  }

  /** The plane gets ready for these, whom its predecessor serves meanwhile. */
  sendAhead(clients: readonly SlotReference[]): void {
    const batches = packets(clients, MAX_PACKET_DESCRIPTORS)
    for (const batch of batches) this.#orders.push({ op: 'ahead', clients: batch })
    this.#unprepared += batches.length
  }

  /** The plane is ready for some more of those; false: there are still others. */
  prepared(): boolean {
    this.#unprepared--
    return this.#unprepared <= 0
  }

  /** The plane is the successor of one that left this. */
  handOver({ servers, clients, unseen }: HandOver): void {
    // What was to be sent ahead is late.
    this.#orders = this.#orders.filter(({ op }) => op !== 'ahead')
    const isAhead = ({ slot, generation }: SlotReference): boolean => this.#ahead.get(slot) === generation
    const others = clients.filter((client) => !isAhead(client))
    for (const { slot } of clients.filter(isAhead)) this.#ahead.delete(slot)
    const ended = Array.from(this.#ahead, ([slot, generation]) => ({ slot, generation }))
    for (const batch of packets(ended, MAX_PACKET_REFERENCES)) this.#orders.push({ op: 'ended', clients: batch })
    for (const batch of packets(servers, MAX_PACKET_DESCRIPTORS))
      this.#orders.push({ op: 'keep-servers', servers: batch })
    for (const batch of packets(others, MAX_PACKET_DESCRIPTORS))
      this.#orders.push({ op: 'keep-clients', clients: batch })
    for (const { place } of this.#descriptors.listeners) this.#orders.push({ op: 'listener', place })
    this.#orders.push({ op: 'serve' })
    this.#newClients.unshift(...unseen)
  }

  /** New clients may come. */
  open(): void {
    this.#isOpen = true
  }

  announce(client: NewClient): void {
    this.#newClients.push(client)
  }

  release(): void {
    this.#orders.push({ op: 'release' })
  }

  /** Sends what waits, as far as the plane takes it. */
  flush(): SendResult {
    const result = this.#sendWaiting()
    this.#isBacklogged = result === 'full'
    return result
  }

  receive(): Received | 'empty' | 'gone' {
    return this.#channel.receive()
  }

  /** What a plane that is dead said last. */
  *lastWords(): Generator<Received> {
    // The kernel says once that the plane left packets of ours unread, before it gives out the plane's own.
    for (let refusals = 0; refusals < 2; ) {
      const received = this.#channel.receive()
      if (received === 'empty') return
      if (received === 'gone') refusals++
      else yield received
    }
  }

  close(): void {
    this.#orders = []
    this.#newClients = []
    this.#channel.close()
  }

  #sendWaiting(): SendResult {
    for (let order = this.#orders[0]; order !== undefined; order = this.#orders[0]) {
      const result = this.#send(order)
      if (result !== 'sent') return result
      this.#orders.shift()
    }
    while (this.#isOpen && this.#newClients.length > 0) {
      const result = this.#send({ op: 'new', clients: this.#newClients.slice(0, MAX_PACKET_DESCRIPTORS) })
      if (result !== 'sent') return result
      this.#newClients = this.#newClients.slice(MAX_PACKET_DESCRIPTORS)
    }
    return 'sent'
  }

  /** Whoever is gone by now is left out. */
  #send(message: KeeperMessage): SendResult {
    const fds: number[] = []
    const { client, server } = this.#descriptors
    switch (message.op) {
      case 'new':
        return this.#sendPacket({ op: 'new', clients: holders(message.clients, client, fds) }, fds)
      case 'keep-clients':
        return this.#sendPacket({ op: 'keep-clients', clients: holders(message.clients, client, fds) }, fds)
      case 'keep-servers':
        return this.#sendPacket({ op: 'keep-servers', servers: holders(message.servers, server, fds) }, fds)
      case 'listener': {
        const { place } = message
        const listener = this.#descriptors.listeners.find((one) => one.place === place)
        if (listener !== undefined && !listener.fd.closed) fds.push(listener.fd.fd)
        return this.#sendPacket(message, fds)
      }
      case 'ahead': {
        const clients = holders(message.clients, client, fds)
        const result = this.#sendPacket({ op: 'ahead', clients }, fds)
        if (result === 'sent') for (const { slot, generation } of clients) this.#ahead.set(slot, generation)
        return result
      }
      case 'ended':
      case 'serve':
      case 'release':
        return this.#sendPacket(message, fds)
    }
  }

  #sendPacket(message: KeeperMessage, fds: readonly number[]): SendResult {
    return this.#channel.send(this.#packet, encodeKeeperMessage(message, this.#packet), fds)
  }
}

/** Those that have a descriptor, which goes to `fds`. */
function holders<T extends SlotReference>(
  slots: readonly T[],
  descriptor: (slot: number) => number | null,
  fds: number[],
): readonly T[] {
  return slots.filter(({ slot }) => {
    const fd = descriptor(slot)
    if (fd !== null) fds.push(fd)
    return fd !== null
  })
}

function packets(slots: readonly SlotReference[], most: number): readonly (readonly SlotReference[])[] {
  const batches: (readonly SlotReference[])[] = []
  for (let at = 0; at < slots.length; at += most) batches.push(slots.slice(at, at + most))
  return batches
}
