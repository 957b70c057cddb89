import { crc32 } from 'node:zlib'
import type { BufferArena } from '../io/buffer-arena.ts'
import { PLANE } from '../memory/plane-records.ts'
import type { Region } from '../memory/region.ts'
import type { PlaneValues } from '../shard/plane-values.ts'

/** What control has told a plane and nobody but control could tell its successor. */
export interface Orders {
  /** With the topology of the moment. */
  readonly values: PlaneValues
  /** Databases; null: all. */
  readonly paused: readonly (string | null)[]
  /** Numbers of shards. */
  readonly held: readonly number[]
}

/** Length and checksum, u32 each. */
const HEAD_BYTES = 8

/**
 * What control has told a plane, in shared memory, so that a successor can serve at once, and also while control is away. In one
 * buffer of the arena as JSON behind its length and checksum; the plane's record says which, in one store.
 */
export class KeptOrders {
  readonly #arena: BufferArena
  readonly #planes: Region
  readonly #at: number
  #handle: number

  /** Before the plane's record is renewed: finds what a predecessor has left. */
  constructor(arena: BufferArena, planes: Region, planeIndex: number) {
    this.#arena = arena
    this.#planes = planes
    this.#at = planeIndex * (planes.recordBytes >> 2) + PLANE.ordersHandle
    const handle = planes.i32[this.#at] ?? 0
    this.#handle = handle !== 0 && this.#json(handle) !== null ? handle : 0
  }

  /** Has to outlive a rebuild of the arena; 0: there is none. */
  get handle(): number {
    return this.#handle
  }

  /** The same without taking it: of a plane that works, perhaps, so what is read may be changing. */
  peek(): Orders | null {
    const json = this.#handle === 0 ? null : this.#json(this.#handle)
    try {
      return json === null ? null : (JSON.parse(json.toString('utf8')) as Orders)
    } catch {
      return null
    }
  }

  /** After that, and after the record is renewed: what the predecessor was told. Null: nothing that can be read. */
  take(): Orders | null {
    this.#planes.i32[this.#at] = this.#handle
    const json = this.#handle === 0 ? null : this.#json(this.#handle)
    return json === null ? null : (JSON.parse(json.toString('utf8')) as Orders)
  }

  /** Takes the place of what was there. Where there is no room a successor has to wait for control. */
  put(orders: Orders): void {
    const json = Buffer.from(JSON.stringify(orders))
    const { memory } = this.#arena
    const handle = this.#arena.allocate(HEAD_BYTES + json.length)
    if (handle !== 0) {
      const at = this.#arena.offset(handle)
      memory.bytes.writeUInt32LE(json.length, at)
      memory.bytes.writeUInt32LE(crc32(json), at + 4)
      memory.bytes.set(json, at + HEAD_BYTES)
    }
    const before = this.#handle
    this.#handle = handle
    this.#planes.i32[this.#at] = handle
    if (before === 0) return
    // There are passwords in it.
    memory.bytes.fill(0, this.#arena.offset(before), this.#arena.offset(before) + this.#arena.capacity(before))
    this.#arena.release(before)
  }

  /** Null when that is no buffer of orders. */
  #json(handle: number): Buffer | null {
    const { bytes, size } = this.#arena.memory
    const at = this.#arena.offset(handle)
    if (handle < 0 || at + HEAD_BYTES > size) return null
    const length = bytes.readUInt32LE(at)
    if (HEAD_BYTES + length > this.#arena.capacity(handle)) return null
    const json = bytes.subarray(at + HEAD_BYTES, at + HEAD_BYTES + length)
    return crc32(json) === bytes.readUInt32LE(at + 4) ? json : null
  }
}
