import { scramKeyBytes } from './scram-keys.ts'

/**
 * The texts of a SCRAM exchange (RFC 5802 §7), parsed as PostgreSQL's `auth-scram.c` and libpq parse them.
 * Texts are Latin-1 throughout: one character is one byte of the peer, so signatures cover exactly what it sent.
 */

/** The SASL mechanisms that PostgreSQL offers for passwords. */
export type ScramMechanism = 'SCRAM-SHA-256' | 'SCRAM-SHA-256-PLUS'

/** The peer's message is not SCRAM as PostgreSQL speaks it. `message` is for the log. */
export class ScramViolation extends Error {
  readonly sqlstate: string

  constructor(message: string, sqlstate = '08P01') {
    super(message)
    this.name = 'ScramViolation'
    this.sqlstate = sqlstate
  }
}

export interface ClientFirst {
  readonly bindingFlag: 'n' | 'y' | 'p'
  /** The type of channel binding, with flag `p` only. */
  readonly bindingType: string | null
  readonly nonce: string
  /** client-first-message-bare: the first part of what is signed. */
  readonly bare: string
}

export interface ClientFinal {
  /** Base64, as sent. */
  readonly channelBinding: string
  readonly nonce: string
  readonly proof: Buffer
  readonly withoutProof: string
}

export interface ServerFirst {
  readonly nonce: string
  readonly salt: Buffer
  readonly iterations: number
}

export function parseClientFirst(text: string): ClientFirst {
  const flag = text[0]
  if (flag !== 'n' && flag !== 'y' && flag !== 'p') throw unexpected(text, 0, 'a channel-binding flag')
  const reader = new AttributeReader(text)
  let bindingType: string | null = null
  if (flag === 'p') bindingType = reader.read('p')
  else reader.skip(`${flag},`, 'a comma after the channel-binding flag')
  if (reader.peek() === 'a') {
    throw new ScramViolation('the client uses an authorization identity, but it is not supported', '0A000')
  }
  reader.skip(',', 'the end of the GS2 header')
  const bare = reader.rest()
  if (reader.peek() === 'm') {
    throw new ScramViolation('the client requires an unsupported SCRAM extension', '0A000')
  }
  // The user is the one of the startup packet; libpq sends an empty name here.
  reader.read('n')
  const nonce = reader.read('r')
  if (!isPrintable(nonce)) throw new ScramViolation('the client nonce has non-printable characters')
  while (!reader.isAtEnd()) reader.readAny()
  return { bindingFlag: flag, bindingType, nonce, bare }
}

export function parseClientFinal(text: string): ClientFinal {
  const reader = new AttributeReader(text)
  const channelBinding = reader.read('c')
  const nonce = reader.read('r')
  for (;;) {
    // The comma before the proof is not part of what is signed.
    const end = reader.position - 1
    const { name, value } = reader.readAny()
    if (name !== 'p') continue
    const proof = decodeBase64(value)
    if (proof?.length !== scramKeyBytes) throw new ScramViolation('the proof in client-final-message is malformed')
    if (!reader.isAtEnd()) throw new ScramViolation('there is garbage at the end of client-final-message')
    return { channelBinding, nonce, proof, withoutProof: text.slice(0, end) }
  }
}

export function parseServerFirst(text: string): ServerFirst {
  const reader = new AttributeReader(text)
  const nonce = reader.read('r')
  if (!isPrintable(nonce)) throw new ScramViolation('the server nonce has non-printable characters')
  const salt = decodeBase64(reader.read('s'))
  if (salt === null || salt.length === 0) throw new ScramViolation('the salt in server-first-message is malformed')
  const digits = reader.read('i')
  if (!/^[1-9][0-9]{0,9}$/.test(digits)) throw new ScramViolation('the iteration count is not a positive number')
  if (!reader.isAtEnd()) throw new ScramViolation('there is garbage at the end of server-first-message')
  return { nonce, salt, iterations: Number(digits) }
}

/** The server's signature. Its `e=` becomes a violation with SQLSTATE 28P01. */
export function parseServerFinal(text: string): Buffer {
  const reader = new AttributeReader(text)
  if (reader.peek() === 'e') {
    throw new ScramViolation(`the server ended the exchange with ${JSON.stringify(reader.read('e'))}`, '28P01')
  }
  const signature = decodeBase64(reader.read('v'))
  if (signature?.length !== scramKeyBytes) throw new ScramViolation('the server signature is malformed')
  if (!reader.isAtEnd()) throw new ScramViolation('there is garbage at the end of server-final-message')
  return signature
}

/** Strict: null unless `text` is exactly what the bytes encode to, so that no two texts mean the same proof. */
export function decodeBase64(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64')
  return bytes.toString('base64') === text ? bytes : null
}

/** Walks `name=value` attributes separated by commas. */
class AttributeReader {
  readonly #text: string
  #position = 0

  constructor(text: string) {
    this.#text = text
  }

  get position(): number {
    return this.#position
  }

  isAtEnd(): boolean {
    return this.#position === this.#text.length
  }

  peek(): string | undefined {
    return this.#text[this.#position]
  }

  rest(): string {
    return this.#text.slice(this.#position)
  }

  skip(expected: string, meaning: string): void {
    if (!this.#text.startsWith(expected, this.#position)) throw unexpected(this.#text, this.#position, meaning)
    this.#position += expected.length
  }

  read(name: string): string {
    this.skip(`${name}=`, `attribute "${name}"`)
    return this.#readValue()
  }

  readAny(): { name: string; value: string } {
    const name = this.peek()
    if (name === undefined || !/^[A-Za-z]$/.test(name)) throw unexpected(this.#text, this.#position, 'an attribute')
    return { name, value: this.read(name) }
  }

  #readValue(): string {
    const start = this.#position
    const comma = this.#text.indexOf(',', start)
    const end = comma === -1 ? this.#text.length : comma
    this.#position = comma === -1 ? end : comma + 1
    return this.#text.slice(start, end)
  }
}

/** RFC 5802: printable ASCII except the comma. */
function isPrintable(text: string): boolean {
  return /^[\x21-\x2b\x2d-\x7e]*$/.test(text)
}

function unexpected(text: string, position: number, expected: string): ScramViolation {
  const found = position < text.length ? JSON.stringify(text.slice(position, position + 1)) : 'the end of the message'
  return new ScramViolation(`malformed SCRAM message: expected ${expected}, found ${found}`)
}
