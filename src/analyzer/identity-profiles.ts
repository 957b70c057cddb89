import {
  IDENTITY,
  IDENTITY_F64,
  IDENTITY_SUM,
  IDENTITY_SUMS,
  IDENTITY_TEXT,
  type IdentityNames,
  readIdentityNames,
} from '../memory/identity-records.ts'
import { PROFILE, PROFILE_F64, PROFILE_SUM } from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import { identityKey } from './identity.ts'
import { roughLog2 } from './rough-log.ts'

/** So many in a row were never used, or there are none: one may be empty where a plane died as it was about to write it. */
const MOST_UNUSED = 64

export const TAU_IDENTITY_MS = 3_600_000

/**
 * What all connections of one identity did, over their ends: most connections are too short to be known by themselves.
 * One plane's table in shared memory; when it is full, the identity seen least recently that has no connection makes room.
 */
export class IdentityProfiles {
  readonly #region: Region
  readonly #profiles: Region
  readonly #first: number
  readonly #count: number
  readonly #words: number
  readonly #records = new Map<string, number>()
  #next = 0
  /** Called with a record that becomes another identity's. */
  onReplaced: (record: number) => void = () => {}

  /** `first`, `count`: which records of the region are this plane's. What is in them already counts, but nobody is connected. */
  constructor(region: Region, profiles: Region, first: number, count: number) {
    this.#region = region
    this.#profiles = profiles
    this.#first = first
    this.#count = count
    this.#words = region.recordBytes >> 2
    // Records are taken in their order. Memory that nobody has touched is not to be touched, by each plane, while clients wait.
    for (let record = first; record < first + count && record - first - this.#next < MOST_UNUSED; record++) {
      const names = readIdentityNames(region, record)
      if (names === null) continue
      this.#records.set(identityKey(names), record)
      region.i32[record * this.#words + IDENTITY.live] = 0
      this.#next = record - first + 1
    }
  }

  get size(): number {
    return this.#records.size
  }

  /** The identity's record, made if there is none; −1 when every record has connections. */
  recordOf(names: IdentityNames, now: number): number {
    const key = identityKey(names)
    const known = this.#records.get(key)
    if (known !== undefined) return known
    const record = this.#next < this.#count ? this.#first + this.#next++ : this.#leastRecent()
    if (record < 0) return -1
    this.#region.clear(record)
    for (const [name, { offset, capacity }] of Object.entries(IDENTITY_TEXT)) {
      this.#region.writeText(record, offset, capacity, names[name as keyof IdentityNames])
    }
    this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.updatedAt] = now
    this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.seenAt] = now
    this.#region.i32[record * this.#words + IDENTITY.used] = 1
    this.#records.set(key, record)
    return record
  }

  #leastRecent(): number {
    let best = -1
    let bestAt = Number.POSITIVE_INFINITY
    for (let record = this.#first; record < this.#first + this.#count; record++) {
      const seenAt = this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.seenAt] as number
      if (this.#region.i32[record * this.#words + IDENTITY.live] !== 0 || seenAt >= bestAt) continue
      best = record
      bestAt = seenAt
    }
    if (best < 0) return -1
    const names = readIdentityNames(this.#region, best)
    if (names !== null) this.#records.delete(identityKey(names))
    this.onReplaced(best)
    return best
  }

  /** One more connection; `isKept`: it was there before, and is counted already. */
  connected(record: number, now: number, isKept: boolean): void {
    this.#region.i32[record * this.#words + IDENTITY.live]! += 1
    this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.seenAt] = now
    if (isKept) return
    this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.connections]! += 1
    this.#decay(record, now)
    this.#add(record, IDENTITY_SUM.begun, 1)
  }

  /** One less. What is in its profile, brought to this moment, becomes part of the identity's. */
  disconnected(record: number, slot: number, now: number): void {
    const i = record * this.#words
    this.#region.i32[i + IDENTITY.live] = Math.max(0, (this.#region.i32[i + IDENTITY.live] as number) - 1)
    this.#decay(record, now)
    const { i32, f64, recordBytes } = this.#profiles
    const queries = i32[slot * (recordBytes >> 2) + PROFILE.queries] as number
    const seconds = (now - (f64[slot * (recordBytes >> 3) + PROFILE_F64.connectedAt] as number)) / 1000
    this.#add(record, IDENTITY_SUM.ended, 1)
    this.#add(record, IDENTITY_SUM.logQueries, roughLog2(1 + queries))
    this.#add(record, IDENTITY_SUM.logSeconds, roughLog2(1 + seconds))
    this.contribute(record, slot, now)
  }

  /**
   * Adds what the connection did since it contributed last, as far as its own sums still hold it: once a minute or at its
   * end, and not for each query.
   */
  contribute(record: number, slot: number, now: number): void {
    this.#decay(record, now)
    const { f32, recordBytes } = this.#profiles
    const i = slot * (recordBytes >> 2)
    const of = (field: number): number => f32[i + field] as number
    const count = of(PROFILE_SUM.count)
    if (count <= 0) return
    this.#add(record, IDENTITY_SUM.count, count)
    this.#add(record, IDENTITY_SUM.busyMs, of(PROFILE_SUM.busyMs))
    this.#add(record, IDENTITY_SUM.logDuration, of(PROFILE_SUM.logDuration))
    this.#add(record, IDENTITY_SUM.logRows, of(PROFILE_SUM.logRows))
    this.#add(record, IDENTITY_SUM.statements, of(PROFILE_SUM.statements))
    this.#add(record, IDENTITY_SUM.writes, of(PROFILE_SUM.writes))
    this.#add(record, IDENTITY_SUM.copies, of(PROFILE_SUM.copies))
    this.#add(record, IDENTITY_SUM.openMs, observedMs(this.#profiles, slot, now))
    this.#region.f64[record * (this.#words >> 1) + IDENTITY_F64.queries]! += count
  }

  #decay(record: number, now: number): void {
    const { f32, f64 } = this.#region
    const f = record * (this.#words >> 1)
    const passed = now - (f64[f + IDENTITY_F64.updatedAt] as number)
    if (passed <= 0) return
    f64[f + IDENTITY_F64.updatedAt] = now
    const factor = Math.exp(-passed / TAU_IDENTITY_MS)
    const i = record * this.#words
    for (let at = i + IDENTITY_SUMS.first; at < i + IDENTITY_SUMS.end; at++) f32[at] = (f32[at] as number) * factor
  }

  #add(record: number, field: number, value: number): void {
    const at = record * this.#words + field
    this.#region.f32[at] = (this.#region.f32[at] as number) + value
  }
}

/** For how long, weighed like its sums, the connection has been watched. */
function observedMs({ f64, recordBytes }: Region, slot: number, now: number): number {
  const age = Math.max(1, now - (f64[slot * (recordBytes >> 3) + PROFILE_F64.connectedAt] as number))
  return 120_000 * (1 - Math.exp(-age / 120_000))
}
