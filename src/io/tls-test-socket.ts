import assert from 'node:assert/strict'
import type net from 'node:net'
import { NativeBuffer } from './native.ts'
import type { TlsChannel } from './tls-channel.ts'

/** For tests: a channel on a socket of Node's. What it decrypts goes to `receive`. */
export class TlsTestSocket {
  readonly channel: TlsChannel
  readonly closed: Promise<unknown>
  readonly #socket: net.Socket
  readonly #receive: (bytes: Buffer, self: TlsTestSocket) => void
  readonly #wire = NativeBuffer.allocate(64 * 1024)
  readonly #plain = NativeBuffer.allocate(16 * 1024)
  /** What the last `read` of the channel said when there was nothing to read. */
  ended = 0

  constructor(channel: TlsChannel, socket: net.Socket, receive: (bytes: Buffer, self: TlsTestSocket) => void) {
    this.channel = channel
    this.#socket = socket
    this.#receive = receive
    this.closed = new Promise((resolve) => socket.once('close', resolve))
    socket.on('error', () => {})
    socket.on('data', (bytes) => {
      bytes.copy(this.#wire.bytes)
      assert.equal(channel.feed(this.#wire, 0, bytes.length), bytes.length)
      this.step()
    })
    socket.on('end', () => {
      channel.feedEnd()
      this.step()
      socket.end()
    })
  }

  /** Goes on with the handshake, reads what came, sends what waits. */
  step(): void {
    if (this.channel.handshake() === 'done') this.#readAll()
    this.flush()
    if (this.channel.failure !== null) this.#socket.end()
  }

  #readAll(): void {
    for (;;) {
      const bytes = this.channel.read(this.#plain, 0, this.#plain.size)
      if (bytes > 0) {
        this.#receive(Buffer.from(this.#plain.bytes.subarray(0, bytes)), this)
        continue
      }
      this.ended = bytes
      return
    }
  }

  send(bytes: Buffer): void {
    bytes.copy(this.#plain.bytes)
    this.channel.write(this.#plain, 0, bytes.length)
    this.flush()
  }

  /** Closes the socket and frees the channel. */
  destroy(): void {
    this.#socket.removeAllListeners('data').removeAllListeners('end').destroy()
    this.channel.free()
  }

  flush(): void {
    for (let bytes = 1; bytes > 0; ) {
      bytes = this.channel.drain(this.#wire, 0, this.#wire.size)
      if (bytes > 0) this.#socket.write(Buffer.from(this.#wire.bytes.subarray(0, bytes)))
    }
  }
}
