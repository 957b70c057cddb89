import type { Region } from '../memory/region.ts'
import type { BufferArena } from './buffer-arena.ts'
import type { NativeBuffer } from './native.ts'

/** i32 indexes of an outbox in its slot. */
export interface OutboxFields {
  readonly outboxHandle: number
  readonly outboxStart: number
  readonly outboxBytes: number
}

/** Bytes that the kernel did not take, in one arena buffer whose handle, start and count are in the peer's slot. */
export class Outbox {
  readonly #arena: BufferArena
  readonly #i32: Int32Array
  readonly #handle: number
  readonly #start: number
  readonly #bytes: number

  constructor(arena: BufferArena, region: Region, slot: number, fields: OutboxFields) {
    const i = slot * (region.recordBytes >> 2)
    this.#arena = arena
    this.#i32 = region.i32
    this.#handle = i + fields.outboxHandle
    this.#start = i + fields.outboxStart
    this.#bytes = i + fields.outboxBytes
  }

  get bytes(): number {
    return this.#i32[this.#bytes] as number
  }

  get memory(): NativeBuffer {
    return this.#arena.memory
  }

  /** Where in `memory` the first waiting byte is. */
  get offset(): number {
    return this.#arena.offset(this.#i32[this.#handle] as number) + (this.#i32[this.#start] as number)
  }

  /** `source[start, end)` waits behind what waits already. False when the arena has no buffer that large. */
  append(source: NativeBuffer, start: number, end: number): boolean {
    const arena = this.#arena
    const handle = this.#i32[this.#handle] as number
    const first = this.#i32[this.#start] as number
    const waiting = this.bytes
    const total = waiting + end - start
    if (handle === 0 || first + total > arena.capacity(handle)) {
      const target = arena.allocate(total)
      if (target === 0) return false
      const from = arena.offset(handle) + first
      if (waiting > 0) arena.memory.bytes.copy(arena.memory.bytes, arena.offset(target), from, from + waiting)
      if (handle !== 0) arena.retire(handle)
      this.#i32[this.#handle] = target
      this.#i32[this.#start] = 0
    }
    source.bytes.copy(arena.memory.bytes, this.offset + waiting, start, end)
    this.#i32[this.#bytes] = total
    return true
  }

  /** The first `count` bytes have left. */
  consume(count: number): void {
    const waiting = this.bytes
    if (count >= waiting) {
      this.release()
      return
    }
    this.#i32[this.#start] = (this.#i32[this.#start] as number) + count
    this.#i32[this.#bytes] = waiting - count
  }

  /** Drops what waits. */
  release(): void {
    const handle = this.#i32[this.#handle] as number
    if (handle === 0) return
    this.#arena.retire(handle)
    this.#i32[this.#handle] = 0
    this.#i32[this.#start] = 0
    this.#i32[this.#bytes] = 0
  }
}
