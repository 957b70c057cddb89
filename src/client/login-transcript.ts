import { RouterError } from '../errors.ts'

const HEAD_BYTES = 8
const EMPTY = Buffer.alloc(0)
/** In place of the length of a certificate's name, which there is none of yet. */
const GRANTED = 0xffff

/**
 * A login so far: what the client has said and how much it was told, both without TLS, and what chance had a part in. What the router
 * says during a login follows from that. So a successor of this process listens to it all again, says nothing twice, and goes
 * on where the client is.
 */
export class LoginTranscript {
  #heard: Buffer[] = []
  #said = 0
  /** Of what was said to the client before, so much has not been said again. */
  #repeats = 0
  #chance = EMPTY
  /** So much of `#chance` has been used again. */
  #used = 0
  #certificateName: string | null = null
  #isGranted = false

  /** As `encode` has it: everything is going to be said and heard again. */
  static decode(bytes: Buffer): LoginTranscript {
    const transcript = new LoginTranscript()
    const chanceEnd = HEAD_BYTES + bytes.readUInt16LE(4)
    const nameField = bytes.readUInt16LE(6)
    transcript.#isGranted = nameField === GRANTED
    const nameBytes = transcript.#isGranted ? 0 : nameField
    const nameEnd = chanceEnd + Math.max(0, nameBytes - 1)
    transcript.#repeats = bytes.readUInt32LE(0)
    transcript.#chance = Buffer.from(bytes.subarray(HEAD_BYTES, chanceEnd))
    transcript.#certificateName = nameBytes === 0 ? null : bytes.toString('utf8', chanceEnd, nameEnd)
    transcript.#heard = [Buffer.from(bytes.subarray(nameEnd))]
    return transcript
  }

  encode(): Buffer {
    const name = this.#certificateName === null ? null : Buffer.from(this.#certificateName)
    const head = Buffer.alloc(HEAD_BYTES)
    head.writeUInt32LE(this.#said + this.#repeats, 0)
    head.writeUInt16LE(this.#chance.length, 4)
    head.writeUInt16LE(this.#isGranted ? GRANTED : name === null ? 0 : name.length + 1, 6)
    return Buffer.concat([head, this.#chance, name ?? EMPTY, ...this.#heard])
  }

  /** Of the client's certificate, which nobody sees again. */
  get certificateName(): string | null {
    return this.#certificateName
  }

  /** The client may begin with TLS; nothing of that has been used. */
  get isGranted(): boolean {
    return this.#isGranted
  }

  /** What the client says next is TLS's. */
  granted(): void {
    this.#begin()
    this.#isGranted = true
  }

  /** TLS has begun: what was said before it is of no importance any more. */
  secured(certificateName: string | null): void {
    this.#begin()
    this.#isGranted = false
    this.#certificateName = certificateName
  }

  #begin(): void {
    this.#heard = []
    this.#said = 0
    this.#repeats = 0
  }

  /** The client has said this. */
  hear(bytes: Uint8Array): void {
    if (bytes.length > 0 && !this.#isGranted) this.#heard.push(Buffer.from(bytes))
  }

  /** All that the client has said, which will be heard again. */
  takeHeard(): Buffer {
    const heard = Buffer.concat(this.#heard)
    this.#heard = []
    return heard
  }

  /**
   * Whether the client has to be told this: not when it was before. Throws `RouterError` when what it was told was something
   * else, because the configuration is another one.
   */
  mustSay(bytes: number): boolean {
    const isRepeated = this.#repeats > 0
    if (isRepeated && bytes > this.#repeats)
      throw new RouterError('08006', 'the login cannot be gone on with', { origin: 'router' })
    if (isRepeated) this.#repeats -= bytes
    this.#said += bytes
    return !isRepeated
  }

  /** So many random bytes; the same ones when they were drawn before. */
  random(count: number, draw: (count: number) => Buffer): Buffer {
    if (this.#used + count > this.#chance.length) {
      this.#chance = Buffer.concat([this.#chance.subarray(0, this.#used), draw(count)])
    }
    this.#used += count
    return this.#chance.subarray(this.#used - count, this.#used)
  }
}
