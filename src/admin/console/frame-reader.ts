import { RouterError } from '../../errors.ts'
import { HEADER_BYTES } from '../../protocol/message-type.ts'
import { parseStartup, type StartupPacket } from '../../protocol/startup.ts'

/** One message of a client. */
export interface Frame {
  /** Its first byte. */
  readonly type: number
  /** Valid until the next call of `push`. */
  readonly body: Buffer
}

/** As PostgreSQL has it for bytes; no driver sends a tenth of that many parameters. */
const STARTUP_LIMITS = { bytes: 10_000, parameters: 100 }
/** Console commands are short; nothing longer has a meaning here. */
const MAX_MESSAGE_BYTES = 64 * 1024

/**
 * Cuts a byte stream into messages, whatever way it was split. Holds at most one unfinished message plus the last chunk.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class FrameReader {
  #buffer: Buffer = Buffer.alloc(0)
  #start = 0
  #end = 0

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

  /** The next packet of the time before login. */
  nextStartup(): StartupPacket {
    const packet = parseStartup(this.#buffer, this.#start, this.#end, STARTUP_LIMITS)
    if (packet.kind !== 'incomplete' && packet.kind !== 'invalid') this.#start += packet.total
    return packet
  }

  /**
   * The next whole message of the session, or null until more bytes come. Throws `08P01` on a length that cannot be,
   * as soon as its header is there.
   */
  next(): Frame | null {
    if (this.#end - this.#start < HEADER_BYTES) return null
    const length = this.#buffer.readUInt32BE(this.#start + 1)
    if (length < 4 || length > MAX_MESSAGE_BYTES) throw badLength(length)
    const frameEnd = this.#start + 1 + length
    if (this.#end < frameEnd) return null
    const type = this.#buffer[this.#start] as number
    const body = this.#buffer.subarray(this.#start + HEADER_BYTES, frameEnd)
    this.#start = frameEnd
    return { type, body }
  }
}

function badLength(length: number): RouterError {
  return new RouterError(
    '08P01',
    `The message announces ${length} bytes; the console takes 4 to ${MAX_MESSAGE_BYTES} bytes per message.`,
    { origin: 'client' },
  )
}
