import { isCountedApart, type Policy, type SlotShare, slotsOf, type TierRule } from '../shard/policy.ts'

const NO_RULES: readonly TierRule[] = []

/**
 * What the clients of rules have of one shard, for those rules by which they are counted apart. Rules are given as their
 * places. Empty where there are none, which costs nobody anything.
 */
export class RuleCounts {
  #rules: readonly TierRule[] = NO_RULES
  held = new Int32Array(0)
  waiting = new Int32Array(0)
  #max = new Int32Array(0)

  /** New numbers. True: the rules are others than before, and the counts start at 0. */
  configure(limit: number, { rules }: Policy): boolean {
    const apart = rules.some(isCountedApart) ? rules : NO_RULES
    const areOthers = apart !== this.#rules
    if (areOthers) {
      this.#rules = apart
      this.held = new Int32Array(apart.length)
      this.waiting = new Int32Array(apart.length)
      this.#max = new Int32Array(apart.length)
    }
    for (const [place, { max }] of apart.entries()) {
      this.#max[place] = (max ?? null) === null ? limit : Math.max(1, slotsOf(max as SlotShare, limit, Math.ceil))
    }
    return areOthers
  }

  /** How many more transactions of its clients may begin, as far as it is concerned. */
  room(place: number): number {
    return Math.max(0, (this.#max[place] ?? 0) - (this.held[place] ?? 0))
  }

  /** How many of them may wait; null: as many as of their tier. */
  queueOf(place: number): number | null {
    return this.#rules[place]?.queue ?? null
  }

  /** Null: that of their tier. */
  shedOrderOf(place: number): number | null {
    return this.#rules[place]?.shedOrder ?? null
  }
}
