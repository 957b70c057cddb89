import type { BufferArena } from './buffer-arena.ts'

/** What a section has no room for, in one buffer of the arena. What was there before stays until the next commit. */
export class Spill {
  readonly #arena: BufferArena
  handle = 0
  bytes = 0

  constructor(arena: BufferArena) {
    this.#arena = arena
  }

  /** False when the arena has no room: nothing is kept then. */
  put(data: Uint8Array): boolean {
    this.clear()
    if (data.length === 0) return true
    const handle = this.#arena.allocate(data.length)
    if (handle === 0) return false
    this.#arena.memory.bytes.set(data, this.#arena.offset(handle))
    this.handle = handle
    this.bytes = data.length
    return true
  }

  /** Goes on with what another process has put there. */
  adopt(handle: number, bytes: number): void {
    this.handle = handle
    this.bytes = bytes
  }

  /** The bytes themselves, not a copy. */
  get data(): Buffer {
    const at = this.#arena.offset(this.handle)
    return this.#arena.memory.bytes.subarray(at, at + this.bytes)
  }

  clear(): void {
    if (this.handle !== 0) this.#arena.retire(this.handle)
    this.handle = 0
    this.bytes = 0
  }
}
