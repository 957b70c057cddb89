import { SHARD_RECORD_BYTES } from '../memory/layout.ts'
import type { Region } from '../memory/region.ts'
import { loadRecord, SHARD_LOAD, SHARD_LOAD_F64, SHARD_WAITS, waitBucket } from '../memory/shard-records.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { PoolAdmission } from '../server/pool-admission.ts'
import type { Policy, TierPolicy } from '../shard/policy.ts'
import type { ShardAdjustment } from '../shard/shard-adjustment.ts'
import { TIERS } from '../shard/tier.ts'
import { AdaptiveLimit } from './adaptive-limit.ts'
import { PeakLatency } from './peak-latency.ts'
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

  /** `limit`: transactions that the shard may have at once. */
  configure(limit: number, { admission, tiers }: Policy, adjustment: ShardAdjustment | null = null): void {
    this.#tiers = tiers
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

  mayTake(tier: number): boolean {
    return this.slots.mayTake(tier)
  }

  room(tier: number): number {
    return this.slots.room(tier)
  }

  take(tier: number): void {
    this.slots.take(tier)
    this.#add(SHARD_LOAD_F64.admitted + tier, 1)
  }

  release(tier: number): void {
    this.slots.release(tier)
  }

  turn(tier: number, waitingSince: number): number {
    if (!this.slots.mayTake(tier)) return NEVER
    return turn(tier, this.#host.now - waitingSince, this.slots.isUnderReserve(tier), this.#ageMs)
  }

  joined(tier: number): void {
    this.#waiting[tier] = (this.#waiting[tier] ?? 0) + 1
    this.#allWaiting++
  }

  left(tier: number): void {
    this.#waiting[tier] = (this.#waiting[tier] ?? 0) - 1
    this.#allWaiting--
  }

  refusal(tier: number): ErrorFields | null {
    const { tier: name, queue } = this.#tiers[tier] as TierPolicy
    // Whoever does not have to wait for a slot but for a connection to be opened is in nobody's way.
    if ((this.#waiting[tier] ?? 0) < queue || this.slots.room(tier) > (this.#waiting[tier] ?? 0)) return null
    return {
      severity: 'ERROR',
      sqlstate: '53300',
      message: `too many transactions of tier "${name}" wait for shard "${this.#shard}"`,
      hint: `lower the load, or raise tiers.${name}.queue or tiers.${name}.max`,
    }
  }

  victim(): number {
    if (this.#allWaiting <= this.#maxWaiting) return -1
    let victim = -1
    let order = 0
    for (const [code, { shedOrder }] of this.#tiers.entries()) {
      if (shedOrder <= order || (this.#waiting[code] ?? 0) === 0) continue
      victim = code
      order = shedOrder
    }
    return victim
  }

  shedding(tier: number): ErrorFields {
    const { tier: name } = this.#tiers[tier] as TierPolicy
    return {
      severity: 'ERROR',
      sqlstate: '53300',
      message: `too many transactions wait for shard "${this.#shard}", and those of tier "${name}" are refused first`,
      hint: 'lower the load, or raise tiers.max_waiting',
    }
  }

  waited(tier: number, milliseconds: number): void {
    this.#add(SHARD_LOAD_F64.waits + tier, 1)
    this.#add(SHARD_LOAD_F64.waitMs + tier, milliseconds)
    this.#add(SHARD_WAITS.first + tier * SHARD_WAITS.buckets + waitBucket(milliseconds), 1)
  }

  refused(tier: number): void {
    this.#add(SHARD_LOAD_F64.refused + tier, 1)
  }

  timedOut(tier: number): void {
    this.#add(SHARD_LOAD_F64.timedOut + tier, 1)
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
