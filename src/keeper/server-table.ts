import { OwnedFd } from '../io/owned-fd.ts'
import { shutdownBoth } from '../io/socket.ts'
import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { SERVER } from '../memory/server-slots.ts'

interface Held {
  readonly fd: OwnedFd
  readonly generation: number
  readonly plane: number
}

/** One descriptor of every server connection that a plane asked us to keep, so that it outlives the plane. */
export class ServerTable {
  readonly #slots: Region
  readonly #held = new Map<number, Held>()

  constructor(slots: Region) {
    this.#slots = slots
  }

  get count(): number {
    return this.#held.size
  }

  /** Takes the descriptor over. One that the slot had before is an earlier connection, which the plane has left. */
  put({ slot, generation }: SlotReference, fd: OwnedFd, plane: number): void {
    this.#end(slot)
    this.#held.set(slot, { fd: new OwnedFd(fd.take()), generation, plane })
  }

  /** Ends the connection; false when this is not what the slot holds now. */
  drop({ slot, generation }: SlotReference, plane: number): boolean {
    const held = this.#held.get(slot)
    if (held?.generation !== generation || held.plane !== plane) return false
    this.#end(slot)
    return true
  }

  /** The descriptor, for a system call made right now; null when none is kept. */
  descriptor(slot: number): number | null {
    return this.#held.get(slot)?.fd.fd ?? null
  }

  /** Every connection that is kept for `plane`. */
  of(plane: number): readonly SlotReference[] {
    return [...this.#held]
      .filter(([, held]) => held.plane === plane)
      .map(([slot, { generation }]) => ({ slot, generation }))
  }

  /** Ends every connection of `plane` and frees its slots, kept ones or not; returns how many were kept. */
  releaseAllOf(plane: number): number {
    const before = this.#held.size
    for (const [slot, held] of this.#held) if (held.plane === plane) this.#end(slot)
    const stride = this.#slots.recordBytes >> 2
    const { i32 } = this.#slots
    for (let slot = 0; slot < this.#slots.count; slot++) {
      const at = slot * stride
      if (i32[at + SERVER.state] === 0 || i32[at + SERVER.plane] !== plane) continue
      const generation = i32[at + SERVER.generation] ?? 0
      this.#slots.clear(slot)
      i32[at + SERVER.generation] = generation
    }
    return before - this.#held.size
  }

  #end(slot: number): void {
    const held = this.#held.get(slot)
    if (held === undefined) return
    this.#held.delete(slot)
    shutdownBoth(held.fd)
    held.fd.close()
  }
}
