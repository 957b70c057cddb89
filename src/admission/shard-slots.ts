import { slotsOf, type TierPolicy } from '../shard/policy.ts'
import type { ShardAdjustment } from '../shard/shard-adjustment.ts'
import { TIERS } from '../shard/tier.ts'

const COUNT = TIERS.length

/**
 * The slots of one shard: permissions to have one transaction there, counted by tier. Tiers are given as their codes.
 *
 * Idle reservations are lent: whoever comes may have any free slot up to the maximum of its tier, but for those that
 * another tier keeps. What is lent comes back when a transaction ends and its owner waits (`isUnderReserve`).
 */
export class ShardSlots {
  /** By tier; what lies behind may be shared memory. */
  readonly held: Int32Array
  readonly #reserved = new Int32Array(COUNT)
  readonly #kept = new Int32Array(COUNT)
  readonly #max = new Int32Array(COUNT)
  /** Most that each tier may have now: its maximum, or less while the shard is slow. */
  readonly allowed: Int32Array
  #limit = 0
  #total = 0

  constructor(held: Int32Array, allowed: Int32Array) {
    this.held = held
    this.allowed = allowed
    this.held.fill(0)
  }

  get limit(): number {
    return this.#limit
  }

  get total(): number {
    return this.#total
  }

  /**
   * So many slots, shared out as `tiers`, in the order of `TIERS`, say, and as `adjustment` says instead. Whoever has more than
   * that keeps it until its end. Reservations are never adjusted.
   */
  configure(limit: number, tiers: readonly TierPolicy[], adjustment: ShardAdjustment | null = null): void {
    this.#limit = limit
    // Somebody without a reservation has to get on as well.
    let keepable = limit - 1
    for (const [code, tier] of tiers.entries()) {
      const most = Math.max(1, slotsOf(tier.max, limit, Math.ceil))
      const reserved = Math.min(most, slotsOf(tier.reserved, limit, Math.floor))
      const max = Math.min(most, Math.max(1, reserved, adjustment?.most[code] ?? most))
      this.#max[code] = max
      this.allowed[code] = max
      this.#reserved[code] = reserved
      const isKept = adjustment?.keepsReserved[code] === true
      const kept = Math.min(reserved, keepable, isKept ? reserved : slotsOf(tier.kept, limit, Math.floor))
      this.#kept[code] = kept
      keepable -= kept
    }
  }

  maxOf(tier: number): number {
    return this.#max[tier] ?? 0
  }

  reservedOf(tier: number): number {
    return this.#reserved[tier] ?? 0
  }

  /** From now on the tier may have at most so many, but never more than its maximum nor less than its reservation and 1. */
  allow(tier: number, slots: number): void {
    const least = Math.max(1, this.#reserved[tier] ?? 0)
    this.allowed[tier] = Math.min(this.#max[tier] ?? 0, Math.max(least, slots))
  }

  /** Whether one transaction more of this tier may begin. */
  mayTake(tier: number): boolean {
    if ((this.held[tier] ?? 0) >= (this.allowed[tier] ?? 0)) return false
    return this.#total + this.#keptByOthers(tier) < this.#limit
  }

  /** How many more transactions of this tier may begin. */
  room(tier: number): number {
    const ofTier = (this.allowed[tier] ?? 0) - (this.held[tier] ?? 0)
    return Math.max(0, Math.min(ofTier, this.#limit - this.#total - this.#keptByOthers(tier)))
  }

  /** The tier has fewer slots than are reserved for it. */
  isUnderReserve(tier: number): boolean {
    return (this.held[tier] ?? 0) < (this.#reserved[tier] ?? 0)
  }

  take(tier: number): void {
    this.held[tier] = (this.held[tier] ?? 0) + 1
    this.#total++
  }

  release(tier: number): void {
    this.held[tier] = (this.held[tier] ?? 0) - 1
    this.#total--
  }

  #keptByOthers(tier: number): number {
    let kept = 0
    for (let other = 0; other < COUNT; other++) {
      if (other !== tier) kept += Math.max(0, (this.#kept[other] ?? 0) - (this.held[other] ?? 0))
    }
    return kept
  }
}
