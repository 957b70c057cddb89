import type { SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'
import { SERVER } from '../memory/server-slots.ts'

/** Which server slots are free, and how often each has been used: the generation tells one connection in it from the next. */
export class ServerSlotList {
  readonly #region: Region
  readonly #free: number[] = []
  readonly #generations: Int32Array

  /** `region`: the server slots, all free. */
  constructor(region: Region) {
    this.#region = region
    for (let slot = region.count - 1; slot >= 0; slot--) this.#free.push(slot)
    this.#generations = new Int32Array(region.count)
  }

  /** What another process has opened in this slot is there still. */
  keep({ slot, generation }: SlotReference): void {
    this.#free.splice(this.#free.indexOf(slot), 1)
    this.#generations[slot] = generation
  }

  /** −1 when all are taken. */
  take(): number {
    return this.#free.pop() ?? -1
  }

  /** A connection is open in it. */
  opened(slot: number): SlotReference {
    const generation = ((this.#generations[slot] ?? 0) + 1) | 0
    this.#generations[slot] = generation
    this.#region.i32[slot * (this.#region.recordBytes >> 2) + SERVER.generation] = generation
    return { slot, generation }
  }

  /** Returns what was in it. */
  release(slot: number): SlotReference {
    this.#free.push(slot)
    return { slot, generation: this.#generations[slot] ?? 0 }
  }
}
