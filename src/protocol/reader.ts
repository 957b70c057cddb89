/** A message body that does not have the shape its type demands. */
export class MalformedMessage extends Error {
  constructor(what: string) {
    super(what)
    this.name = 'MalformedMessage'
  }
}

/** Walks the body of one message; everything past the end throws MalformedMessage instead of reading a neighbour. */
export class MessageReader {
  readonly #bytes: Buffer
  readonly #end: number
  #at: number

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes
    this.#at = start
    this.#end = end
  }

  get position(): number {
    return this.#at
  }

  get remaining(): number {
    return this.#end - this.#at
  }

  byte(): number {
    this.#need(1)
    return this.#bytes[this.#at++] as number
  }

  int16(): number {
    this.#need(2)
    this.#at += 2
    return this.#bytes.readInt16BE(this.#at - 2)
  }

  int32(): number {
    this.#need(4)
    this.#at += 4
    return this.#bytes.readInt32BE(this.#at - 4)
  }

  /** A NUL-terminated text. */
  text(): string {
    const end = this.#bytes.indexOf(0, this.#at)
    if (end < 0 || end >= this.#end) throw new MalformedMessage('a text in the message has no end')
    const value = this.#bytes.toString('utf8', this.#at, end)
    this.#at = end + 1
    return value
  }

  /** A view of the next `count` bytes. */
  raw(count: number): Buffer {
    this.#need(count)
    this.#at += count
    return this.#bytes.subarray(this.#at - count, this.#at)
  }

  #need(count: number): void {
    if (count < 0 || this.#at + count > this.#end) throw new MalformedMessage('the message is shorter than its fields')
  }
}
