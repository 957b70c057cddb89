import assert from 'node:assert/strict'
import { nativeBytes, type RawPeer } from './link-host.fixture.ts'
import { NativeBuffer } from './native.ts'
import type { TlsChannel } from './tls-channel.ts'

/** For tests: TLS of its own on the raw end of a pair, as client or as server. */
export class TlsPeer {
  readonly channel: TlsChannel
  readonly raw: RawPeer
  readonly received: Buffer[] = []
  readonly #wire = NativeBuffer.allocate(65_536)
  /** The last result of `read` that was no count. */
  ended = 0

  constructor(raw: RawPeer, channel: TlsChannel) {
    this.raw = raw
    this.channel = channel
  }

  /** Takes what came, at most `most` bytes of ciphertext, and sends what that makes necessary. */
  step(most = 65_536): void {
    const wire = this.raw.receive(most)
    if (wire === null) this.channel.feedEnd()
    else {
      this.#wire.bytes.set(wire)
      this.channel.feed(this.#wire, 0, wire.length)
    }
    if (this.channel.handshake() === 'done') {
      for (;;) {
        const count = this.channel.read(this.#wire, 0, this.#wire.size)
        if (count <= 0) {
          this.ended = count
          break
        }
        this.received.push(Buffer.from(this.#wire.bytes.subarray(0, count)))
      }
    }
    this.flush()
  }

  send(bytes: Buffer): void {
    for (let at = 0; at < bytes.length; at += 16_384) {
      const part = nativeBytes(bytes.subarray(at, at + 16_384))
      this.channel.write(part, 0, part.size)
    }
    this.flush()
  }

  /** The ciphertext that waits to be sent; never more than the kernel takes in these tests. */
  flush(): void {
    for (let wire = this.ciphertext(); wire.length > 0; wire = this.ciphertext()) {
      assert.equal(this.raw.send(wire), wire.length)
    }
  }

  ciphertext(): Buffer {
    return Buffer.from(this.#wire.bytes.subarray(0, this.channel.drain(this.#wire, 0, this.#wire.size)))
  }
}
