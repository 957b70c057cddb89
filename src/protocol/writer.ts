/** Grows as needed; one message after another. Strings are UTF-8 and end with a NUL byte. */
export class MessageWriter {
  #bytes: Buffer
  #length = 0
  #start = 0

  constructor(capacity = 256) {
    this.#bytes = Buffer.allocUnsafe(capacity)
  }

  /** What has been written since the last `reset`; valid until the next write. */
  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#length)
  }

  get length(): number {
    return this.#length
  }

  reset(): this {
    this.#length = 0
    return this
  }

  /** Opens a message with a type byte. */
  begin(type: number): this {
    this.#reserve(5)
    this.#bytes[this.#length] = type
    this.#start = this.#length + 1
    this.#length += 5
    return this
  }

  /** Opens one of the startup messages, which have no type byte. */
  beginUntyped(): this {
    this.#reserve(4)
    this.#start = this.#length
    this.#length += 4
    return this
  }

  /** Closes the open message by writing its length. */
  end(): this {
    this.#bytes.writeInt32BE(this.#length - this.#start, this.#start)
    return this
  }

  byte(value: number): this {
    this.#reserve(1)
    this.#bytes[this.#length++] = value
    return this
  }

  int16(value: number): this {
    this.#reserve(2)
    this.#bytes.writeInt16BE(value, this.#length)
    this.#length += 2
    return this
  }

  int32(value: number): this {
    this.#reserve(4)
    this.#bytes.writeInt32BE(value | 0, this.#length)
    this.#length += 4
    return this
  }

  text(value: string): this {
    const size = Buffer.byteLength(value)
    this.#reserve(size + 1)
    this.#length += this.#bytes.write(value, this.#length)
    this.#bytes[this.#length++] = 0
    return this
  }

  raw(value: Uint8Array): this {
    this.#reserve(value.length)
    this.#bytes.set(value, this.#length)
    this.#length += value.length
    return this
  }

  #reserve(bytes: number): void {
    const needed = this.#length + bytes
    if (needed <= this.#bytes.length) return
    const grown = Buffer.allocUnsafe(Math.max(needed, this.#bytes.length * 2))
    this.#bytes.copy(grown, 0, 0, this.#length)
    this.#bytes = grown
  }
}
