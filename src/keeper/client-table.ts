import { OwnedFd } from '../io/owned-fd.ts'
import { shutdownBoth } from '../io/socket.ts'
import { CLIENT, CLIENT_F64, CLIENT_STATE } from '../memory/client-slots.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { SlotAllocator } from './slot-allocator.ts'

const FREE = -1

/**
 * Every client connection, from accept to the moment its plane says it is gone. The table owns one descriptor of each,
 * so that a connection outlives the plane that serves it; a plane owns another one. It is also the only writer of the
 * generation in a client slot.
 */
export class ClientTable {
  readonly #slots: Region
  readonly #allocator: SlotAllocator
  /** By slot; typed arrays rather than objects, because an idle client should cost nothing. */
  readonly #fds: Int32Array
  readonly #planes: Uint8Array
  #count = 0

  constructor(slots: Region, ordinarySlots: number) {
    this.#slots = slots
    this.#allocator = new SlotAllocator(slots.count, ordinarySlots)
    this.#fds = new Int32Array(slots.count).fill(FREE)
    this.#planes = new Uint8Array(slots.count)
  }

  get count(): number {
    return this.#count
  }

  get free(): number {
    return this.#allocator.free
  }

  /** Takes the descriptor over and gives the client a slot with a new generation. Throws when no slot is free. */
  hold(fd: OwnedFd, plane: number): SlotReference {
    const slot = this.#allocator.allocate()
    if (slot === null) throw new Error('client table: no free slot')
    const generation = (this.#generation(slot) + 1) >>> 0
    this.#wipe(slot, generation)
    this.#fds[slot] = fd.take()
    this.#planes[slot] = plane
    this.#count++
    return { slot, generation }
  }

  /** Takes over the descriptor of a client that `plane` has served since before this table was made. */
  adopt({ slot, generation }: SlotReference, fd: OwnedFd, plane: number): void {
    if (slot >= this.#fds.length || (this.#fds[slot] ?? 0) !== FREE || this.#generation(slot) !== generation) {
      throw new Error(`client table: slot ${slot} cannot be adopted`)
    }
    this.#allocator.claim(slot)
    this.#fds[slot] = fd.take()
    this.#planes[slot] = plane
    this.#count++
  }

  /** Nobody but those who are held has a slot of `plane`: what the others left there is wiped. */
  wipeUnheld(plane: number): void {
    for (let slot = 0; slot < this.#fds.length; slot++) {
      if (this.#fds[slot] !== FREE || this.#slots.i32[this.#word(slot, CLIENT.plane)] !== plane) continue
      // Pages that nobody has touched are not to be touched now.
      if (this.progress(slot) !== 'unseen') this.#wipe(slot, this.#generation(slot))
    }
  }

  /** The descriptor, for a system call made right now; null when the slot is free. */
  descriptor(slot: number): number | null {
    const fd = this.#fds[slot] ?? FREE
    return fd === FREE ? null : fd
  }

  /** Ends the connection and frees its slot; false when this is not who holds the slot now. */
  release({ slot, generation }: SlotReference, plane: number): boolean {
    const isHeld = (this.#fds[slot] ?? FREE) !== FREE
    if (!isHeld || this.#planes[slot] !== plane || this.#generation(slot) !== generation) return false
    this.#end(slot)
    return true
  }

  /** Every client of `plane`. */
  of(plane: number): readonly SlotReference[] {
    const clients: SlotReference[] = []
    for (let slot = 0; slot < this.#fds.length; slot++) {
      if (this.#fds[slot] === FREE || this.#planes[slot] !== plane) continue
      clients.push({ slot, generation: this.#generation(slot) })
    }
    return clients
  }

  /**
   * What its plane did with a client that is held: it never looked at it (`unseen`: no byte was read), serves it, or has
   * closed its descriptor (`over`).
   */
  progress(slot: number): 'unseen' | 'served' | 'over' {
    if (this.#slots.i32[this.#word(slot, CLIENT.state)] !== CLIENT_STATE.free) return 'served'
    const at = slot * (this.#slots.recordBytes >> 3) + CLIENT_F64.connectedAt
    return this.#slots.f64[at] === 0 ? 'unseen' : 'over'
  }

  /** Ends every connection that `plane` served; returns how many there were. */
  releaseAllOf(plane: number): number {
    const before = this.#count
    for (let slot = 0; slot < this.#fds.length; slot++) {
      if (this.#fds[slot] !== FREE && this.#planes[slot] === plane) this.#end(slot)
    }
    return before - this.#count
  }

  #end(slot: number): void {
    const fd = new OwnedFd(this.#fds[slot] ?? FREE)
    this.#fds[slot] = FREE
    // Closing alone would tell the client nothing while a duplicate is on its way to a plane.
    shutdownBoth(fd)
    fd.close()
    this.#wipe(slot, this.#generation(slot))
    this.#allocator.release(slot)
    this.#count--
  }

  #generation(slot: number): number {
    return (this.#slots.i32[this.#word(slot, CLIENT.generation)] ?? 0) >>> 0
  }

  #wipe(slot: number, generation: number): void {
    this.#slots.clear(slot)
    this.#slots.i32[this.#word(slot, CLIENT.generation)] = generation
  }

  #word(slot: number, field: number): number {
    return slot * (this.#slots.recordBytes >> 2) + field
  }
}
