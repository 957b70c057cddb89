import { crc32 } from 'node:zlib'
import type { Gather } from '../io/gather.ts'
import type { NativeBuffer } from '../io/native.ts'

/** Why a server connection is closed that `hasDiverged`. */
export const DIVERGED = 'its answers are not those that its client has got'

/** What a client has got already of answers that come once more. */
export interface Echo {
  /** So many bytes, with this CRC-32. */
  readonly bytes: number
  readonly crc: number
  /** So many bytes of what is asked once more were answered in full. */
  readonly answered: number
  /** The client has got a part of a message: nothing else can be said to it. */
  readonly isMidMessage: boolean
  /** A read by itself; a transaction that is open; one of which only the COMMIT is not answered. */
  readonly of: 'read' | 'transaction' | 'commit'
}

/**
 * What the client of a server connection gets of its answers: passes them on and, where they may have to come once more from
 * another server, keeps a checksum of them. When they do come once more, holds back what the client has already, and lets
 * it have the rest only if that was the same. Counted since `begin`, which is where `SentRecord` begins as well.
 */
export class ClientDelivery {
  readonly #toClient: Pick<Gather, 'forward' | 'insert'>
  /** Most bytes that are summed; 0: none. */
  summedBytes = 0
  #bytes = 0
  #crc = 0
  /** Delivered, and not in the checksum yet. */
  #source: NativeBuffer | null = null
  #start = 0
  #end = 0
  #echo: Echo | null = null
  /** What has come is not what the client has got: it gets nothing any more. */
  hasDiverged = false

  constructor(toClient: Pick<Gather, 'forward' | 'insert'>) {
    this.#toClient = toClient
  }

  /** Nothing of what is asked from now on has been delivered. */
  begin(): void {
    this.#bytes = 0
    this.#crc = 0
    this.#source = null
    this.#start = 0
    this.#end = 0
  }

  /** What comes has been delivered in part. */
  expect(echo: Echo): void {
    this.#echo = echo
    this.hasDiverged = false
  }

  /** The client gets nothing until all that it has already has come. */
  get isEchoing(): boolean {
    return this.#echo !== null
  }

  /** What it has already; null: all of that has come, or it had nothing. */
  get echo(): Echo | null {
    return this.#echo
  }

  /** Bytes that have come since `begin`, and their CRC-32; null: they were too many, or are not summed. */
  get sum(): { readonly bytes: number; readonly crc: number } | null {
    if (this.#bytes > this.summedBytes) return null
    this.#add()
    return { bytes: this.#bytes, crc: this.#crc }
  }

  /** Everything is answered, and this is less than the client has got before. */
  fallShort(): void {
    this.hasDiverged = true
  }

  /** The server connection is somebody else's from now on. */
  forget(): void {
    this.begin()
    this.#echo = null
    this.hasDiverged = false
  }

  /** `source[at, stop)` is the client's. */
  forward(source: NativeBuffer, at: number, stop: number): void {
    const from = this.#echo === null ? at : this.#swallow(source, at, stop, this.#echo)
    if (from === stop || this.hasDiverged) return
    this.#note(source, from, stop)
    this.#toClient.forward(source, from, stop)
  }

  /** A message of ours in the place of the server's. */
  insert(message: Uint8Array): void {
    this.#add()
    this.#bytes += message.length
    if (this.summedBytes > 0) this.#crc = crc32(message, this.#crc)
    if (this.#echo !== null) this.#compare(this.#echo)
    else if (!this.hasDiverged) this.#toClient.insert(message)
  }

  /** What came is used up. `isOver`: nothing of it will ever be needed. */
  settle(isOver: boolean): void {
    if (this.#source === null) return
    if (!isOver) this.#add()
    this.#source = null
  }

  #note(source: NativeBuffer, at: number, stop: number): void {
    this.#bytes += stop - at
    if (this.summedBytes === 0) return
    if (this.#source !== source || this.#end !== at) {
      this.#add()
      this.#source = source
      this.#start = at
    }
    this.#end = stop
  }

  #add(): void {
    const source = this.#source
    if (source === null) return
    this.#source = null
    if (this.#bytes <= this.summedBytes) this.#crc = crc32(source.bytes.subarray(this.#start, this.#end), this.#crc)
  }

  /** Returns from where on it has not been delivered. */
  #swallow(source: NativeBuffer, at: number, stop: number, echo: Echo): number {
    const end = Math.min(stop, at + echo.bytes - this.#bytes)
    this.#note(source, at, end)
    if (this.#bytes >= echo.bytes) this.#compare(echo)
    return end
  }

  #compare(echo: Echo): void {
    if (this.#bytes < echo.bytes) return
    this.#add()
    // A message of ours may reach beyond: then something else stood there.
    if (this.#bytes === echo.bytes && this.#crc === echo.crc) this.#echo = null
    else this.hasDiverged = true
  }
}
