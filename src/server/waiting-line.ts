import { TIERS } from '../shard/tier.ts'
import { Fifo } from '../util/fifo.ts'
import type { PoolAdmission } from './pool-admission.ts'
import type { PoolWaiter } from './pool-waiter.ts'

/** The clients that wait for a server connection of one pool, first come first served within each tier. */
export class WaitingLine {
  readonly #admission: PoolAdmission
  readonly #lines: readonly Fifo<PoolWaiter>[] = TIERS.map(() => new Fifo<PoolWaiter>())
  #length = 0
  /** When whoever `first` returned has its turn; smaller is sooner. */
  turn = Number.POSITIVE_INFINITY

  constructor(admission: PoolAdmission) {
    this.#admission = admission
  }

  get length(): number {
    return this.#length
  }

  push(waiter: PoolWaiter): void {
    this.#line(waiter.tier).push(waiter)
    waiter.waitsAs = waiter.tier
    this.#length++
    this.#admission.joined(waiter.waitsAs)
  }

  /** Harmless when it does not wait here. */
  remove(waiter: PoolWaiter): void {
    const tier = waiter.waitsAs
    if (tier < 0) return
    this.#line(tier).remove(waiter)
    waiter.waitsAs = -1
    this.#length--
    this.#admission.left(tier)
  }

  /** Somebody of this tier or a higher one waits for nothing but a server connection. */
  has(tier: number): boolean {
    for (let code = 0; code <= tier; code++) {
      if ((this.#lines[code]?.length ?? 0) > 0 && this.#admission.mayTake(code)) return true
    }
    return false
  }

  /** Whose turn is first, and `turn` is then when; null: nobody may go on. */
  first(): PoolWaiter | null {
    let waiter: PoolWaiter | null = null
    this.turn = Number.POSITIVE_INFINITY
    for (const line of this.#lines) {
      const head = line.first
      if (head === null) continue
      const turn = this.#admission.turn(head.waitsAs, head.waitingSince)
      if (turn > this.turn || turn === Number.POSITIVE_INFINITY) continue
      if (turn === this.turn && waiter !== null && head.waitingSince >= waiter.waitingSince) continue
      waiter = head
      this.turn = turn
    }
    return waiter
  }

  /** Who came last of this tier. */
  newest(tier: number): PoolWaiter | null {
    return this.#line(tier).last
  }

  /** How many of those who wait could begin now, if there were server connections. */
  get admissible(): number {
    let count = 0
    let room = 0
    for (const [tier, line] of this.#lines.entries()) {
      if (line.length === 0) continue
      const ofTier = this.#admission.room(tier)
      room = Math.max(room, ofTier)
      count += Math.min(line.length, ofTier)
    }
    return Math.min(count, room)
  }

  /** Everybody, taken out, the highest tier first. */
  clear(): PoolWaiter[] {
    const all: PoolWaiter[] = []
    for (const line of this.#lines) {
      for (let waiter = line.first; waiter; waiter = line.first) {
        this.remove(waiter)
        all.push(waiter)
      }
    }
    return all
  }

  #line(tier: number): Fifo<PoolWaiter> {
    return this.#lines[tier] as Fifo<PoolWaiter>
  }
}
