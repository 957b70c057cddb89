import type { PlaneCommand, PlaneEvent } from './control-protocol.ts'

const LENGTH_BYTES = 4
/** Far above the largest values; a longer frame is garbage. */
const MAX_FRAME_BYTES = 64 * 1024 * 1024

/** One frame: four bytes of big-endian length, then JSON. */
export function encodeFrame(message: PlaneCommand | PlaneEvent): Buffer {
  const json = JSON.stringify(message)
  const bytes = Buffer.byteLength(json)
  const frame = Buffer.allocUnsafe(LENGTH_BYTES + bytes)
  frame.writeUInt32BE(bytes, 0)
  frame.write(json, LENGTH_BYTES)
  return frame
}

/** Cuts a stream of bytes into frames. */
export class FrameDecoder<T> {
  #chunks: Buffer[] = []
  #bytes = 0

  /** The messages that `chunk` completes. Throws when the bytes cannot be of this protocol. */
  push(chunk: Buffer): readonly T[] {
    this.#chunks.push(chunk)
    this.#bytes += chunk.length
    const messages: T[] = []
    for (;;) {
      const length = this.#frameLength()
      if (length === null || this.#bytes < LENGTH_BYTES + length) return messages
      const all = this.#joined()
      messages.push(JSON.parse(all.toString('utf8', LENGTH_BYTES, LENGTH_BYTES + length)) as T)
      this.#chunks = [all.subarray(LENGTH_BYTES + length)]
      this.#bytes -= LENGTH_BYTES + length
    }
  }

  #frameLength(): number | null {
    if (this.#bytes < LENGTH_BYTES) return null
    const first = this.#chunks[0]
    const length = (first !== undefined && first.length >= LENGTH_BYTES ? first : this.#joined()).readUInt32BE(0)
    if (length > MAX_FRAME_BYTES) throw new Error(`control protocol: a frame of ${length} bytes`)
    return length
  }

  #joined(): Buffer {
    const all = this.#chunks.length === 1 ? this.#chunks[0] : undefined
    if (all !== undefined) return all
    const joined = Buffer.concat(this.#chunks)
    this.#chunks = [joined]
    return joined
  }
}
