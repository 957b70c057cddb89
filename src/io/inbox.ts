import type { Region } from '../memory/region.ts'
import type { LinkHost } from './link-host.ts'
import type { NativeBuffer } from './native.ts'
import { READ_BYTES, READ_HEADROOM } from './read-buffers.ts'

/** i32 indexes of an inbox in its slot. */
export interface InboxFields {
  readonly inboxHandle: number
  readonly inboxBytes: number
}

/**
 * Bytes that a peer sent and nobody has used yet: the first part of a frame, or requests that wait for a server. They
 * lie in the arena. At most READ_HEADROOM + READ_BYTES, because nothing is read while more than a frame's part waits.
 */
export class Inbox {
  readonly #host: LinkHost
  readonly #region: Region
  readonly #fields: InboxFields
  readonly #i: number
  /** Where `take` put them. */
  start = 0
  end = 0

  constructor(host: LinkHost, region: Region, slot: number, fields: InboxFields) {
    this.#host = host
    this.#region = region
    this.#fields = fields
    this.#i = slot * (region.recordBytes >> 2)
  }

  get bytes(): number {
    return this.#region.i32[this.#i + this.#fields.inboxBytes] ?? 0
  }

  /** More than a read can continue: nothing may be read before it is used. */
  get isFull(): boolean {
    return this.bytes > READ_HEADROOM
  }

  /** Keeps `source[start, end)`; the inbox must be empty. False when the arena has no buffer. */
  keep(source: NativeBuffer, start: number, end: number): boolean {
    if (start === end) return true
    if (this.bytes !== 0) throw new Error('inbox: bytes kept twice')
    const { arena } = this.#host
    const handle = arena.allocate(end - start)
    if (handle === 0) return false
    source.bytes.copy(arena.memory.bytes, arena.offset(handle), start, end)
    this.#region.i32[this.#i + this.#fields.inboxHandle] = handle
    this.#region.i32[this.#i + this.#fields.inboxBytes] = end - start
    return true
  }

  /** Keeps what a read has just delivered, `count` bytes, behind what is kept. False when that is too much, or the arena has no buffer. */
  keepBehind(count: number): boolean {
    if (this.isFull) return false
    this.prepend()
    return this.keep(this.#host.inbound, this.start, READ_HEADROOM + count)
  }

  /** Puts `bytes` before what is kept. False, and nothing is changed, when there is no room. */
  unread(bytes: Buffer): boolean {
    const { arena } = this.#host
    const kept = this.bytes
    if (kept + bytes.length > READ_HEADROOM + READ_BYTES) return false
    if (bytes.length === 0) return true
    const handle = arena.allocate(kept + bytes.length)
    if (handle === 0) return false
    const at = arena.offset(handle)
    bytes.copy(arena.memory.bytes, at)
    if (kept > 0) {
      const from = arena.offset(this.#region.i32[this.#i + this.#fields.inboxHandle] ?? 0)
      arena.memory.bytes.copy(arena.memory.bytes, at + bytes.length, from, from + kept)
    }
    this.release()
    this.#region.i32[this.#i + this.#fields.inboxHandle] = handle
    this.#region.i32[this.#i + this.#fields.inboxBytes] = kept + bytes.length
    return true
  }

  /** Forgets the first ones of what is kept. False, and all is forgotten, when there is no room for the rest. */
  drop(count: number): boolean {
    const { arena } = this.#host
    const kept = this.bytes
    if (count === 0 || kept === 0) return true
    const from = arena.offset(this.#region.i32[this.#i + this.#fields.inboxHandle] ?? 0)
    const rest = Buffer.from(arena.memory.bytes.subarray(from + Math.min(count, kept), from + kept))
    this.release()
    return this.unread(rest)
  }

  /** Moves them to `host.inbound[start, end)`. */
  take(): void {
    this.#moveTo(this.#host.reads.claimRoom(this.bytes))
  }

  /** The same right after a read: up to READ_HEADROOM bytes end where what it delivered begins, which continues them. */
  prepend(): void {
    this.#moveTo(READ_HEADROOM - this.bytes)
  }

  #moveTo(start: number): void {
    const { arena, inbound } = this.#host
    const count = this.bytes
    this.start = start
    this.end = start + count
    if (count === 0) return
    const from = arena.offset(this.#region.i32[this.#i + this.#fields.inboxHandle] ?? 0)
    arena.memory.bytes.copy(inbound.bytes, start, from, from + count)
    this.release()
  }

  /** Drops what is kept. */
  release(): void {
    const { i32 } = this.#region
    const handle = i32[this.#i + this.#fields.inboxHandle] ?? 0
    if (handle !== 0) this.#host.arena.retire(handle)
    i32[this.#i + this.#fields.inboxHandle] = 0
    i32[this.#i + this.#fields.inboxBytes] = 0
  }
}
