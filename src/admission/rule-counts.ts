import { isCountedApart, type Policy, type SlotShare, slotsOf, type TierRule } from '../shard/policy.ts'

const NO_MAX = 0x7fff_ffff
const NO_RULES: readonly TierRule[] = []

/**
 * The slots of one shard that the clients of rules have, for rules by which clients are counted apart. Rules are given as their
 * places. Empty where there are none, which costs nobody anything.
 */
export class RuleCounts {
  #rules: readonly TierRule[] = NO_RULES
  held: Int32Array = new Int32Array(0)
  #max = new Int32Array(0)
  /** When each had all that it may last. */
  #fullUntil = new Float64Array(0)

  get count(): number {
    return this.#rules.length
  }

  /** New numbers. True: the rules are others than before, and the counts start at 0. */
  configure(limit: number, { rules }: Policy): boolean {
    const apart = rules.some(isCountedApart) ? rules : NO_RULES
    const areOthers = apart !== this.#rules
    if (areOthers) {
      this.#rules = apart
      this.held = new Int32Array(apart.length)
      this.#max = new Int32Array(apart.length)
      this.#fullUntil = new Float64Array(apart.length).fill(Number.NEGATIVE_INFINITY)
    }
    for (const [place, { max }] of apart.entries()) {
      const most = (max ?? null) === null ? limit : Math.max(1, slotsOf(max as SlotShare, limit, Math.ceil))
      // Who may have every slot is held back by nobody but others.
      this.#max[place] = most < limit ? most : NO_MAX
    }
    return areOthers
  }

  /** One more (1) or one less (-1). True: it has all that it may now and had not before, or the other way round. */
  hold(place: number, change: 1 | -1, now: number): boolean {
    const wasFull = this.isFull(place)
    this.held[place] = (this.held[place] ?? 0) + change
    if (wasFull) this.#fullUntil[place] = now
    return this.isFull(place) !== wasFull
  }

  /** None of its clients may begin. */
  isFull(place: number): boolean {
    return this.room(place) === 0
  }

  /** It has had all that it may at some time since then. */
  wasFullSince(place: number, since: number): boolean {
    return (this.#fullUntil[place] ?? 0) >= since
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
