import { RouterError } from '../../errors.ts'

/** Reads the fields of one message body in order; every read past the end throws `08P01`. */
export class BodyReader {
  readonly #body: Buffer
  #at = 0

  constructor(body: Buffer) {
    this.#body = body
  }

  get remaining(): number {
    return this.#body.length - this.#at
  }

  byte(): number {
    return this.#body[this.#advance(1)]!
  }

  int16(): number {
    return this.#body.readInt16BE(this.#advance(2))
  }

  int32(): number {
    return this.#body.readInt32BE(this.#advance(4))
  }

  /** A text that ends with a zero byte. */
  cstring(): string {
    const end = this.#body.indexOf(0, this.#at)
    if (end === -1) throw truncated()
    const value = this.#body.toString('utf8', this.#at, end)
    this.#at = end + 1
    return value
  }

  skip(bytes: number): void {
    this.#advance(bytes)
  }

  /** Throws unless the whole body was read: a message with more in it is not the message we think it is. */
  end(): void {
    if (this.remaining !== 0) {
      throw new RouterError('08P01', `The message has ${this.remaining} bytes more than its fields.`, {
        origin: 'client',
      })
    }
  }

  #advance(bytes: number): number {
    if (bytes < 0 || bytes > this.remaining) throw truncated()
    const at = this.#at
    this.#at += bytes
    return at
  }
}

function truncated(): RouterError {
  return new RouterError('08P01', 'The message ends before its fields do.', { origin: 'client' })
}
