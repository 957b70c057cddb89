import { FdChannel, type Received, type SendResult } from '../io/fd-channel.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import {
  encodeKeeperMessage,
  MAX_PACKET_BYTES,
  MAX_PACKET_DESCRIPTORS,
  type NewClient,
} from '../memory/keeper-protocol.ts'

/**
 * The keeper's end of the channel to one plane: clients are announced in batches and wait here while the plane does not
 * read. Owns its end of the channel.
 */
export class PlaneChannel {
  readonly #channel: FdChannel
  readonly #descriptor: (client: NewClient) => number | null
  readonly #packet = Buffer.alloc(MAX_PACKET_BYTES)
  #waiting: NewClient[] = []
  #isBacklogged = false

  /** `descriptor`: of a client that is still held, asked when it is sent. */
  constructor(fd: OwnedFd, descriptor: (client: NewClient) => number | null) {
    this.#channel = new FdChannel(fd, MAX_PACKET_BYTES)
    this.#descriptor = descriptor
  }

  /** The last `flush` did not get rid of everything. */
  get isBacklogged(): boolean {
    return this.#isBacklogged
  }

  announce(client: NewClient): void {
    this.#waiting.push(client)
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

  close(): void {
    this.#waiting = []
    this.#channel.close()
  }

  #sendWaiting(): SendResult {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, MAX_PACKET_DESCRIPTORS)
      const clients: NewClient[] = []
      const fds: number[] = []
      for (const client of batch) {
        const fd = this.#descriptor(client)
        if (fd === null) continue
        clients.push(client)
        fds.push(fd)
      }
      if (clients.length > 0) {
        const length = encodeKeeperMessage({ op: 'new', clients }, this.#packet)
        const result = this.#channel.send(this.#packet, length, fds)
        if (result !== 'sent') return result
      }
      this.#waiting = this.#waiting.slice(batch.length)
    }
    return 'sent'
  }
}
