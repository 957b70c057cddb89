import { SHARD_RECORD_BYTES } from '../memory/layout.ts'
import type { Region } from '../memory/region.ts'
import { loadRecord, SHARD_LOAD, SHARD_LOAD_F64, SHARD_WAITS, waitBucket } from '../memory/shard-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { PoolAdmission } from '../server/pool-admission.ts'
import { claimOf, ruleOfClaim, tierOfClaim } from '../shard/claim.ts'
import type { Policy, TierPolicy } from '../shard/policy.ts'
import type { ShardAdjustment } from '../shard/shard-adjustment.ts'
import { TIERS } from '../shard/tier.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { PeakLatency } from './peak-latency.ts'
import { RuleCounts } from './rule-counts.ts'
import { ShardSlots } from './shard-slots.ts'
import { NEVER, turn } from './turn.ts'

/** What admission needs of its plane. */
export interface AdmissionHost {
  readonly planeIndex: number
  /** Monotonic milliseconds. */
  readonly now: number
}

const NO_RECORD = { recordBytes: SHARD_RECORD_BYTES }

/**
 * Who may have a transaction on one shard, whose turn is next, and who waits in vain. Its counts lie in the shard's record,
 * where the console reads them.
 */
export class ShardAdmission implements PoolAdmission {
  readonly #host: AdmissionHost
  readonly #shard: string
  readonly #waiting: Int32Array
  readonly #limits: Int32Array
  readonly #totals: Float64Array
  readonly slots: ShardSlots
  readonly rules: RuleCounts = new RuleCounts()
  /** By claim. `#waiting` has no more than those of a tier whom no rule holds back, who wait for a slot of the tier. */
  #waitingAs: Int32Array = new Int32Array(TIERS.length)
  readonly #adaptive: AdaptiveLimit
  readonly #peak = new PeakLatency()
  #tiers: readonly TierPolicy[] = []
  #ageMs = 1
  #maxWaiting = 0
  #allWaiting = 0

  /** `records`: of all shards. */
  constructor(host: AdmissionHost, shard: { readonly id: number; readonly name: string }, records: Region) {
    this.#host = host
    this.#shard = shard.name
    const record = loadRecord(host.planeIndex, shard.id)
    const memory = record < 0 ? new ArrayBuffer(NO_RECORD.recordBytes) : records.i32.buffer
    const at = record < 0 ? 0 : records.i32.byteOffset + record * records.recordBytes
    const counts = (field: number, length: number): Int32Array => new Int32Array(memory, at + field * 4, length)
    this.#waiting = counts(SHARD_LOAD.waiting, TIERS.length)
    this.#limits = counts(SHARD_LOAD.limit, 1)
    this.#totals = new Float64Array(memory, at, NO_RECORD.recordBytes >> 3)
    this.slots = new ShardSlots(counts(SHARD_LOAD.held, TIERS.length), counts(SHARD_LOAD.allowed, TIERS.length))
    this.#waiting.fill(0)
    this.#adaptive = new AdaptiveLimit()
  }

  /**
   * `limit`: transactions that the shard may have at once. Where the rules are others than before, who has a slot is to be counted
   * again (`recount`), and who waits has to get in line again.
   */
  configure(limit: number, policy: Policy, adjustment: ShardAdjustment | null = null): void {
    const { admission, tiers } = policy
    this.#tiers = tiers
    if (this.rules.configure(limit, policy)) this.#forgetRules()
    for (let tier = 0; tier < TIERS.length; tier++) this.#waiting[tier] = this.#waitingIn(tier)
    this.#ageMs = admission.ageMs
    this.#maxWaiting = admission.maxWaiting
    this.#limits[0] = limit
    this.slots.configure(limit, tiers, adjustment)
    this.#adaptive.configure(admission, limit)
    this.#allow()
  }

  get busy(): number {
    return this.slots.total
  }

  get limit(): number {
    return this.slots.limit
  }

  peakMs(now: number): number {
    return this.#peak.at(now)
  }

  mayTake(claim: number): boolean {
    const rule = ruleOfClaim(claim)
    if (rule >= 0 && this.rules.room(rule) === 0) return false
    return this.slots.mayTake(tierOfClaim(claim))
  }

  room(claim: number): number {
    const rule = ruleOfClaim(claim)
    const room = this.slots.room(tierOfClaim(claim))
    return rule < 0 ? room : Math.min(room, this.rules.room(rule))
  }

  take(claim: number): void {
    const tier = tierOfClaim(claim)
    this.slots.take(tier)
    this.recount(claim)
    this.#add(SHARD_LOAD_F64.admitted + tier, 1)
  }

  release(claim: number): void {
    const rule = ruleOfClaim(claim)
    this.slots.release(tierOfClaim(claim))
    if (rule >= 0) this.#hold(rule, -1)
  }

  recount(claim: number): void {
    const rule = ruleOfClaim(claim)
    if (rule >= 0) this.#hold(rule, 1)
  }

  #hold(rule: number, change: 1 | -1): void {
    if (!this.rules.hold(rule, change, this.#host.now)) return
    const sign = this.rules.isFull(rule) ? -1 : 1
    for (let tier = 0; tier < TIERS.length; tier++) {
      this.#waiting[tier] = (this.#waiting[tier] ?? 0) + sign * this.#countAs(claimOf(tier, rule))
    }
  }

  turn(claim: number, waitingSince: number): number {
    if (!this.mayTake(claim)) return NEVER
    const tier = tierOfClaim(claim)
    return turn(tier, this.#host.now - waitingSince, this.slots.isUnderReserve(tier), this.#ageMs)
  }

  joined(claim: number): void {
    this.#countWaiting(claim, 1)
  }

  left(claim: number): void {
    this.#countWaiting(claim, -1)
  }

  #countWaiting(claim: number, change: 1 | -1): void {
    const tier = tierOfClaim(claim)
    const rule = ruleOfClaim(claim)
    this.#waitingAs[claim] = this.#countAs(claim) + change
    this.#allWaiting += change
    if (rule < 0 || !this.rules.isFull(rule)) this.#waiting[tier] = (this.#waiting[tier] ?? 0) + change
  }

  #countAs(claim: number): number {
    return this.#waitingAs[claim] ?? 0
  }

  /** Whoever waits does so as one of its tier, until it has got in line again. */
  #forgetRules(): void {
    const before = this.#waitingAs
    this.#waitingAs = new Int32Array(claimOf(0, this.rules.count))
    for (const [claim, count] of before.entries()) {
      const tier = tierOfClaim(claim)
      this.#waitingAs[tier] = this.#countAs(tier) + count
    }
  }

  #waitingIn(tier: number): number {
    let count = this.#countAs(tier)
    for (let rule = 0; rule < this.rules.count; rule++) {
      if (!this.rules.isFull(rule)) count += this.#countAs(claimOf(tier, rule))
    }
    return count
  }

  /** How many clients of this rule wait. */
  waitingOf(rule: number): number {
    let count = 0
    for (let tier = 0; tier < TIERS.length; tier++) count += this.#countAs(claimOf(tier, rule))
    return count
  }

  refusal(claim: number): ErrorFields | null {
    const tier = tierOfClaim(claim)
    const rule = ruleOfClaim(claim)
    const { tier: name, queue } = this.#tiers[tier] as TierPolicy
    const most = this.rules.queueOf(rule) ?? queue
    const waiting = rule < 0 ? this.#countAs(tier) : this.waitingOf(rule)
    // Whoever does not have to wait for a slot but for a connection to be opened is in nobody's way.
    if (waiting < most || this.room(claim) > waiting) return null
    const [whose, keys] = rule < 0 ? [`of tier "${name}"`, `tiers.${name}`] : [`like this one`, `tiers.rules[${rule}]`]
    return {
      severity: 'ERROR',
      sqlstate: '53300',
      message: `too many transactions ${whose} wait for shard "${this.#shard}"`,
      hint: `lower the load, or raise ${keys}.queue or ${keys}.max`,
    }
  }

  get isOverfull(): boolean {
    return this.#allWaiting > this.#maxWaiting
  }

  shedOrder(claim: number): number {
    return this.rules.shedOrderOf(ruleOfClaim(claim)) ?? this.#tiers[tierOfClaim(claim)]?.shedOrder ?? 0
  }

  shedding(claim: number): ErrorFields {
    const { tier: name } = this.#tiers[tierOfClaim(claim)] as TierPolicy
    const isByRule = this.rules.shedOrderOf(ruleOfClaim(claim)) !== null
    const whose = isByRule ? 'this one is among those that' : `those of tier "${name}"`
    return {
      severity: 'ERROR',
      sqlstate: '53300',
      message: `too many transactions wait for shard "${this.#shard}", and ${whose} are refused first`,
      hint: 'lower the load, or raise tiers.max_waiting',
    }
  }

  waited(claim: number, milliseconds: number): void {
    const tier = tierOfClaim(claim)
    const rule = ruleOfClaim(claim)
    // That it waited because of its rule is what the operator wants, and says nothing of what its tier gets.
    if (rule >= 0 && this.rules.wasFullSince(rule, this.#host.now - milliseconds)) return
    this.#add(SHARD_LOAD_F64.waits + tier, 1)
    this.#add(SHARD_LOAD_F64.waitMs + tier, milliseconds)
    this.#add(SHARD_WAITS.first + tier * SHARD_WAITS.buckets + waitBucket(milliseconds), 1)
  }

  refused(claim: number): void {
    this.#add(SHARD_LOAD_F64.refused + tierOfClaim(claim), 1)
  }

  timedOut(claim: number): void {
    this.#add(SHARD_LOAD_F64.timedOut + tierOfClaim(claim), 1)
  }

  /** A query of this tier has been answered after so long. */
  answered(tier: number, milliseconds: number): void {
    this.#add(SHARD_LOAD_F64.latencySumMs + tier, milliseconds)
    this.#add(SHARD_LOAD_F64.latencyCount + tier, 1)
    const { now } = this.#host
    this.#totals[SHARD_LOAD_F64.peakLatencyMs] = this.#peak.observe(milliseconds, now)
    if (this.#adaptive.observe(tier, milliseconds, now, this.slots.held)) this.#allow()
  }

  /** More slots than before may be free. */
  #allow(): void {
    for (let tier = 0; tier < TIERS.length; tier++) this.slots.allow(tier, this.#adaptive.most(tier))
  }

  #add(field: number, value: number): void {
    this.#totals[field] = (this.#totals[field] ?? 0) + value
  }
}
