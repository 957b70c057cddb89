import { FdChannel } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import {
  decodePlaneMessage,
  encodeKeeperMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_DESCRIPTORS,
  type SlotReference,
} from '../memory/keeper-protocol.ts'

interface Held {
  readonly reference: SlotReference
  readonly fd: OwnedFd
}

/** The keeper of a rehearsal: has a descriptor of every connection, and gives them to one plane after another. */
export class RehearsalKeeper {
  readonly #clients: Held[] = []
  readonly #servers = new Map<number, Held>()
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  #channel: FdChannel | null = null
  #isAhead = false

  /** Begins with a plane that has booted; returns its end of the channel. */
  engage(): OwnedFd {
    this.#channel?.close()
    const [ours, theirs] = FdChannel.pair()
    this.#channel = new FdChannel(ours, MAX_PACKET_BYTES)
    this.#isAhead = false
    return theirs
  }

  /** The clients, before it is the plane's turn. */
  sendAhead(): void {
    this.#isAhead = true
    this.#sendHeld(this.#clients, (all) => ({ op: 'ahead', clients: all }))
  }

  /** Everything there is, and that it may serve. */
  handOver(): void {
    const servers = [...this.#servers.values()]
    this.#sendHeld(servers, (all) => ({ op: 'keep-servers', servers: all }))
    if (!this.#isAhead) this.#sendHeld(this.#clients, (all) => ({ op: 'keep-clients', clients: all }))
    this.#send({ op: 'serve' }, [])
  }

  /** New clients: the router's ends of their connections, which stay the keeper's. */
  announce(fds: readonly OwnedFd[]): void {
    const from = { family: 1, remotePort: 0, localPort: 0, address: '' } as const
    const added = fds.map((fd, at) => ({ reference: { slot: this.#clients.length + at, generation: 1 }, fd }))
    this.#clients.push(...added)
    this.#sendHeld(added, (all) => ({ op: 'new', clients: all.map((one) => ({ ...one, ...from })) }))
  }

  /** What the plane has said. */
  listen(): void {
    const channel = this.#channel
    for (
      let received = channel?.receive();
      received !== undefined && typeof received !== 'string';
      received = channel?.receive()
    ) {
      const message = decodePlaneMessage(received.bytes)
      if (message.op === 'put') {
        for (const [at, reference] of message.servers.entries()) {
          this.#servers.get(reference.slot)?.fd.close()
          this.#servers.set(reference.slot, { reference, fd: received.fds[at] as OwnedFd })
        }
      } else if (message.op === 'drop') {
        for (const { slot } of message.servers) {
          this.#servers.get(slot)?.fd.close()
          this.#servers.delete(slot)
        }
      }
    }
  }

  close(): void {
    this.#channel?.close()
    for (const { fd } of [...this.#clients, ...this.#servers.values()]) fd.close()
  }

  #sendHeld(held: readonly Held[], message: (references: readonly SlotReference[]) => KeeperMessage): void {
    for (let at = 0; at < held.length; at += MAX_PACKET_DESCRIPTORS) {
      const some = held.slice(at, at + MAX_PACKET_DESCRIPTORS)
      this.#send(
        message(some.map(({ reference }) => reference)),
        some.map(({ fd }) => fd.fd),
      )
    }
  }

  #send(message: KeeperMessage, fds: readonly number[]): void {
    this.#channel?.send(this.#packet, encodeKeeperMessage(message, this.#packet), fds)
  }
}
