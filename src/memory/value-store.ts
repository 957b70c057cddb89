import { crc32 } from 'node:zlib'
import { FreeSteps } from './free-steps.ts'

const WORD_BYTES = 4
/** Values begin where an integer may; a value's id is its place in such steps. */
const STEP_BYTES = 8
/** The first step holds how many bytes are in use, and how often values were swept. */
const FIRST = STEP_BYTES
/** Checksum and length of a value in one number that is exact. */
const LENGTHS = 2 ** 20
/** With less room than this part of all it is worth a sweep, when this part has been asked for since the last one. */
const SCARCE = 4
const ASKED = 16

/** What is in a store, and under which id. That holds as long as nothing was swept. */
export interface Stored {
  /** 0: it is not there. */
  storedAs: number
  /** The store's `epoch` at that time. */
  storedIn: number
}

/**
 * Values that many sessions share (sets of settings, texts of statements, credentials), each kept once, in shared memory, so
 * that they outlive the plane that wrote them. A value never changes, and its id stays good as long as whoever calls `sweep`
 * says that somebody refers to it; then its place is used again.
 *
 *   used bytes u32, sweeps u32, then for each value: its length u32, its bytes, zeros or whatever up to the next step
 *
 * A value is there once `used` has grown past it, or, in a place that is used again, once its length is written: what a crash
 * leaves otherwise does not exist, or is a value that nobody refers to. So is every place that is free, which only the
 * process that has swept knows to be; the next one sweeps for itself.
 */
export class ValueStore {
  readonly #words: Int32Array
  readonly #bytes: Buffer
  /** By checksum and length; of two values that share these, the first. */
  #ids = new Map<number, number>()
  /** Up to here values are in `#ids`. */
  #known = FIRST
  /** The sweeps that `#ids` knows of. */
  #knownEpoch: number
  /** Values from before a sweep of another process are not in `#ids`. */
  #isForgetful = false
  readonly #free = new FreeSteps()
  /** Bytes since the last sweep. Whether that of another process has left anything is not known. */
  #asked = Number.POSITIVE_INFINITY
  /** A value has found no place since the last sweep, which may only be that no place was long enough. */
  #isRefusing = false

  /** `memory` is zeroed, or what an earlier process left there. */
  constructor(memory: Buffer) {
    this.#bytes = memory
    this.#words = new Int32Array(memory.buffer, memory.byteOffset, memory.length >> 2)
    this.#knownEpoch = this.epoch
    this.catchUp()
  }

  /**
   * Finds what another process has put here meanwhile; writes nothing. When that sweeps, what was found before is worth
   * nothing: then it is not looked for again, because somebody may be waiting. Equal values may come to be here twice.
   */
  catchUp(): void {
    const before = this.epoch
    if (before === this.#knownEpoch) {
      while (this.#known < this.used) {
        const next = this.#after(this.#known)
        // Only where another process is at work.
        if (next <= this.#known || next > this.#bytes.length) break
        this.#note(this.#known)
        this.#known = next
      }
    }
    if (this.epoch === this.#knownEpoch) return
    this.#ids.clear()
    this.#isForgetful = true
    this.#known = this.used
    this.#knownEpoch = this.epoch
  }

  #note(at: number): void {
    const key = keyOf(this.#value(at))
    if (!this.#ids.has(key)) this.#ids.set(key, at / STEP_BYTES)
  }

  /** Bytes in use, with those that are free again among them. */
  get used(): number {
    return Math.max(FIRST, this.#words[0] as number)
  }

  /** Another one after each sweep: ids that were remembered in another epoch, and that no slot refers to, are not good any more. */
  get epoch(): number {
    return this.#words[1] as number
  }

  get size(): number {
    return this.#ids.size
  }

  /** Bytes for values to come. */
  get room(): number {
    return this.#bytes.length - this.used + this.#free.total * STEP_BYTES
  }

  /** Bytes of values and of places that nobody has swept yet. */
  get bytesInUse(): number {
    return this.#bytes.length - this.room
  }

  /** There is little room. */
  get isScarce(): boolean {
    return this.room * SCARCE < this.#bytes.length
  }

  /** A sweep may find some. */
  get isCrowded(): boolean {
    return (this.isScarce || this.#isRefusing) && this.#asked * ASKED > this.#bytes.length
  }

  /** Whether the id that is remembered there is good. */
  has(value: Stored): boolean {
    return value.storedAs > 0 && value.storedIn === this.epoch
  }

  /** The id of `value`, which is kept if it is new; 0 when there is no room for it. */
  put(value: Uint8Array): number {
    const key = keyOf(value)
    const known = this.#ids.get(key)
    if (known !== undefined && this.#value(known * STEP_BYTES).equals(value)) return known
    this.#asked += stepsFor(value.length) * STEP_BYTES
    const at = this.#putAgain(value) || this.#append(value)
    if (at === 0) {
      this.#isRefusing = true
      return 0
    }
    if (known === undefined) this.#ids.set(key, at / STEP_BYTES)
    return at / STEP_BYTES
  }

  /** In a place that is free again; 0: there is none. */
  #putAgain(value: Uint8Array): number {
    const steps = stepsFor(value.length)
    const place = this.#free.take(steps)
    if (place === null) return 0
    const at = place.first * STEP_BYTES
    this.#bytes.set(value, at + WORD_BYTES)
    if (place.steps > steps) {
      this.#setStretch(place.first + steps, place.steps - steps)
      this.#free.add(place.first + steps, place.steps - steps)
    }
    Atomics.store(this.#words, at >> 2, value.length)
    return at
  }

  #append(value: Uint8Array): number {
    const at = this.used
    const end = at + WORD_BYTES + value.length
    if (end > this.#bytes.length) return 0
    this.#words[at >> 2] = value.length
    this.#bytes.set(value, at + WORD_BYTES)
    Atomics.store(this.#words, 0, Math.ceil(end / STEP_BYTES) * STEP_BYTES)
    this.#known = this.used
    return at
  }

  /** A value of which nobody has the id takes all of it. */
  #setStretch(first: number, steps: number): void {
    Atomics.store(this.#words, (first * STEP_BYTES) >> 2, steps * STEP_BYTES - WORD_BYTES)
  }

  /** A copy of the value; null for an id that was never given. */
  get(id: number): Buffer | null {
    const at = id * STEP_BYTES
    if (id <= 0 || at >= this.used) return null
    return Buffer.from(this.#value(at))
  }

  /**
   * Places of values that are not among `ids` may be used again. Every id that anybody may ask for later is there, but for
   * those in a `Stored`. No step may be under way: a successor has to ask for the same ones.
   */
  sweep(ids: ReadonlySet<number>): void {
    Atomics.store(this.#words, 1, this.epoch + 1)
    this.#knownEpoch = this.epoch
    this.#asked = 0
    this.#isRefusing = false
    this.#free.clear()
    if (this.#isForgetful) this.#ids.clear()
    const kept = Int32Array.from(ids).sort()
    let isFree = false
    let from = FIRST
    for (let at = FIRST, next = 0, index = 0; at < this.used; at = next) {
      next = this.#after(at)
      // Also where an id is none of a value's: a process of another version may have given it.
      while (index < kept.length && (kept[index] as number) * STEP_BYTES < at) index++
      const isKept = index < kept.length && (kept[index] as number) * STEP_BYTES < next
      if (isKept && this.#isForgetful) this.#note(at)
      if (isKept && isFree) this.#release(from, at)
      if (!isKept && !isFree) from = at
      isFree = !isKept
    }
    if (isFree) Atomics.store(this.#words, 0, from)
    for (const [key, id] of this.#ids) if (!ids.has(id)) this.#ids.delete(key)
    this.#isForgetful = false
    this.#known = this.used
  }

  #release(from: number, to: number): void {
    const first = from / STEP_BYTES
    const steps = (to - from) / STEP_BYTES
    this.#setStretch(first, steps)
    this.#free.add(first, steps)
  }

  /** The bytes themselves. */
  #value(at: number): Buffer {
    const start = at + WORD_BYTES
    return this.#bytes.subarray(start, start + (this.#words[at >> 2] as number))
  }

  #after(at: number): number {
    return at + stepsFor(this.#words[at >> 2] as number) * STEP_BYTES
  }
}

const stepsFor = (length: number): number => Math.ceil((WORD_BYTES + length) / STEP_BYTES)
const keyOf = (value: Uint8Array): number => crc32(value) * LENGTHS + (value.length % LENGTHS)
