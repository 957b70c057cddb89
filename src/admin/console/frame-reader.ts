import { RouterError } from '../../errors.ts'

/** One message of a client; `type` is its letter, or '' for the packets before login, which have none. */
export interface Frame {
  readonly type: string
  /** Valid until the next call of `push`. */
  readonly body: Buffer
}

/**
 * Cuts a byte stream into messages, whatever way it was split. Holds at most one unfinished message plus the last chunk.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameReader {
  readonly #maxBytes: number
  #buffer: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0

  /** @param maxBytes longest message that is taken; a longer one is refused as soon as its header is there. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes
  }

  push(chunk: Buffer): void {
    const held = this.#end - this.#start
    if (this.#end + chunk.length > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(2 * held, held + chunk.length, 1024))
      this.#buffer.copy(grown, 0, this.#start, this.#end)
      this.#buffer = grown
      this.#start = 0
      this.#end = held
    }
    this.#end += chunk.copy(this.#buffer, this.#end)
  }

  /** The next whole message of the session, or null until more bytes come. Throws `08P01` on a length that cannot be. */
  next(): Frame | null {
    return this.#take(1)
  }

  /** The next whole packet of the time before login (no type byte), or null. Throws `08P01` as `next` does. */
  nextStartup(): Frame | null {
    return this.#take(0)
  }

  #take(typeBytes: 0 | 1): Frame | null {
    const headerBytes = typeBytes + 4
    if (this.#end - this.#start < headerBytes) return null
    const length = this.#buffer.readUInt32BE(this.#start + typeBytes)
    if (length < 4 || length > this.#maxBytes) throw this.#badLength(length)
    const frameBytes = typeBytes + length
    if (this.#end - this.#start < frameBytes) return null
    const type = typeBytes === 1 ? String.fromCharCode(this.#buffer[this.#start]!) : ''
    const body = this.#buffer.subarray(this.#start + headerBytes, this.#start + frameBytes)
    this.#start += frameBytes
    return { type, body }
  }

  #badLength(length: number): RouterError {
    return new RouterError(
      '08P01',
      `The message announces ${length} bytes; the console takes 4 to ${this.#maxBytes} bytes per message.`,
      { origin: 'client' },
    )
  }
}
