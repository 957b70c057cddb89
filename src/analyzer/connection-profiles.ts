import {
  PROFILE,
  PROFILE_F32,
  PROFILE_F64,
  PROFILE_FAST,
  PROFILE_FLAG,
  PROFILE_SUM,
  PROFILE_SUMS,
} from '../memory/profile-records.ts'
import type { Region } from '../memory/region.ts'
import { roughLog2, roughLogMs } from './rough-log.ts'
import { rowsOfTag, statementClass } from './statement-class.ts'

export const TAU_SLOW_MS = 120_000
export const TAU_FAST_MS = 10_000
const IDLE = 0x49
/** Sums are brought up to date in steps of this, of which the shortest τ does not notice one. */
const DECAY_MS = 100

/** What a session's settings say of it. */
export interface SettingFacts {
  /** Of its transactions, by default. */
  readonly isReadOnly: boolean
  /** Milliseconds; 0: none. */
  readonly statementTimeoutMs: number
}

/** What is known of a connection when it has logged in. */
export interface ConnectionFacts {
  readonly generation: number
  /** Its identity's record. */
  readonly identity: number
  /** PROFILE_FLAG bits. */
  readonly flags: number
  /** Milliseconds; 0: none. */
  readonly statementTimeoutMs: number
  readonly startupSettings: number
}

/**
 * Keeps the profiles of a plane's clients up to date, in shared memory and without allocation: sums that decay with time,
 * in 100 ns or so per query. All methods take the client's slot.
 */
export class ConnectionProfiles {
  readonly #i32: Int32Array
  readonly #f64: Float64Array
  readonly #f32: Float32Array
  readonly #words: number
  readonly #region: Region

  constructor(region: Region) {
    this.#region = region
    this.#i32 = region.i32
    this.#f64 = region.f64
    this.#f32 = region.f32
    this.#words = region.recordBytes >> 2
  }

  /** Forgets who had the slot before. */
  begin(slot: number, facts: ConnectionFacts, now: number): void {
    this.#region.clear(slot)
    const i = slot * this.#words
    const f = i >> 1
    this.#i32[i + PROFILE.generation] = facts.generation
    this.#i32[i + PROFILE.identity] = facts.identity + 1
    this.#i32[i + PROFILE.flags] = facts.flags
    this.#i32[i + PROFILE.startupSettings] = facts.startupSettings
    this.#i32[i + PROFILE.status] = IDLE
    this.#f64[f + PROFILE_F64.connectedAt] = now
    this.#f64[f + PROFILE_F64.updatedAt] = now
    this.#setTimeout(i, facts.statementTimeoutMs)
    for (let index = PROFILE_F32.backendCpu; index <= PROFILE_F32.backendWrite; index++) {
      this.#f32[i + index] = Number.NaN
    }
  }

  /** The session has other settings now. */
  settingsChanged(slot: number, { isReadOnly, statementTimeoutMs }: SettingFacts): void {
    const i = slot * this.#words
    const flags = this.#i32[i + PROFILE.flags] as number
    this.#i32[i + PROFILE.flags] = isReadOnly ? flags | PROFILE_FLAG.readOnly : flags & ~PROFILE_FLAG.readOnly
    this.#setTimeout(i, statementTimeoutMs)
  }

  #setTimeout(i: number, milliseconds: number): void {
    this.#f32[i + PROFILE_F32.statementTimeout] = milliseconds > 0 ? Math.log2(milliseconds) : Number.NaN
  }

  /** A statement is done; its command tag is `bytes[at, stop)`. */
  command(slot: number, bytes: Uint8Array, at: number, stop: number, isExtended: boolean): void {
    const i = slot * this.#words
    const f32 = this.#f32
    const sum = i + PROFILE_SUM.selects + statementClass(bytes, at)
    f32[sum] = (f32[sum] as number) + 1
    f32[i + PROFILE_SUM.statements] = (f32[i + PROFILE_SUM.statements] as number) + 1
    if (isExtended) f32[i + PROFILE_SUM.extended] = (f32[i + PROFILE_SUM.extended] as number) + 1
    const rows = i + PROFILE_F32.rows
    f32[rows] = (f32[rows] as number) + rowsOfTag(bytes, at, stop)
  }

  error(slot: number): void {
    this.#count(slot, PROFILE_SUM.errors)
  }

  cancelled(slot: number): void {
    this.#count(slot, PROFILE_SUM.cancels)
  }

  /** It has waited for us so long, which is none of its own doing. */
  waited(slot: number, milliseconds: number): void {
    const at = slot * this.#words + PROFILE_F32.waitedMs
    this.#f32[at] = (this.#f32[at] as number) + milliseconds
  }

  /**
   * A ReadyForQuery has gone to the client. `began`: when its request began to run; `status`: the transaction's;
   * bytes: the client's totals. Returns the number of the query.
   */
  answered(slot: number, status: number, began: number, now: number, bytesRead: number, bytesWritten: number): number {
    const i = slot * this.#words
    const f = i >> 1
    const i32 = this.#i32
    const f32 = this.#f32
    const f64 = this.#f64
    if (now - (f64[f + PROFILE_F64.updatedAt] as number) >= DECAY_MS) this.#decay(i, f, now)
    const duration = began === 0 ? 0 : now - began
    const log = roughLogMs(duration)
    this.#add(i, PROFILE_SUM.count, 1)
    this.#add(i, PROFILE_SUM.busyMs, duration)
    this.#add(i, PROFILE_SUM.logDuration, log)
    this.#add(i, PROFILE_SUM.logDurationSquares, log * log)
    this.#add(i, PROFILE_SUM.histogram + durationBucket(log), 1)
    this.#add(i, PROFILE_FAST.count, 1)
    this.#add(i, PROFILE_FAST.busyMs, duration)
    this.#add(i, PROFILE_FAST.logDuration, log)
    this.#add(i, PROFILE_SUM.logRows, roughLog2(1 + (f32[i + PROFILE_F32.rows] as number)))
    this.#add(i, PROFILE_SUM.logBytesIn, roughLog2(1 + bytesRead - (f64[f + PROFILE_F64.bytesRead] as number)))
    this.#add(i, PROFILE_SUM.logBytesOut, roughLog2(1 + bytesWritten - (f64[f + PROFILE_F64.bytesWritten] as number)))
    this.#pause(i, f, began)
    f32[i + PROFILE_F32.rows] = 0
    f32[i + PROFILE_F32.waitedMs] = 0
    f64[f + PROFILE_F64.bytesRead] = bytesRead
    f64[f + PROFILE_F64.bytesWritten] = bytesWritten
    f64[f + PROFILE_F64.answeredAt] = now
    i32[i + PROFILE.status] = status
    const queries = (i32[i + PROFILE.queries] as number) + 1
    i32[i + PROFILE.queries] = queries
    return queries
  }

  transactionEnded(slot: number, milliseconds: number): void {
    const i = slot * this.#words
    this.#add(i, PROFILE_SUM.transactions, 1)
    this.#add(i, PROFILE_SUM.logTransaction, roughLogMs(milliseconds))
  }

  /** Brings the sums to `now`, so that what is read of them is of this moment. */
  settle(slot: number, now: number): void {
    const i = slot * this.#words
    this.#decay(i, i >> 1, now)
  }

  /** Since the last answer the client thought, within a transaction or outside of one. */
  #pause(i: number, f: number, began: number): void {
    const answeredAt = this.#f64[f + PROFILE_F64.answeredAt] as number
    if (answeredAt === 0 || began === 0) return
    const thought = Math.max(0, began - answeredAt - (this.#f32[i + PROFILE_F32.waitedMs] as number))
    if (this.#i32[i + PROFILE.status] !== IDLE) this.#add(i, PROFILE_SUM.idleInTransactionMs, thought)
    const log = roughLog2(1 + thought)
    this.#add(i, PROFILE_SUM.thinks, 1)
    this.#add(i, PROFILE_SUM.logThink, log)
    this.#add(i, PROFILE_SUM.logThinkSquares, log * log)
  }

  #decay(i: number, f: number, now: number): void {
    const f32 = this.#f32
    const passed = now - (this.#f64[f + PROFILE_F64.updatedAt] as number)
    if (passed <= 0) return
    this.#f64[f + PROFILE_F64.updatedAt] = now
    const slow = Math.exp(-passed / TAU_SLOW_MS)
    for (let at = i + PROFILE_SUMS.first, end = i + PROFILE_SUMS.end; at < end; at++) {
      f32[at] = (f32[at] as number) * slow
    }
    const fast = Math.exp(-passed / TAU_FAST_MS)
    for (let at = i + PROFILE_FAST.first, end = i + PROFILE_FAST.end; at < end; at++) {
      f32[at] = (f32[at] as number) * fast
    }
  }

  #count(slot: number, field: number): void {
    this.#add(slot * this.#words, field, 1)
  }

  #add(i: number, field: number, value: number): void {
    this.#f32[i + field] = (this.#f32[i + field] as number) + value
  }
}

/** Buckets of one power of two each, the first of all below 64 µs. `log`: log2 of milliseconds. */
export function durationBucket(log: number): number {
  const bucket = Math.floor(log) + DURATION_BUCKET_SHIFT
  return bucket < 0 ? 0 : bucket >= PROFILE_SUMS.histogramBuckets ? PROFILE_SUMS.histogramBuckets - 1 : bucket
}
/** log2 of milliseconds at the lower border of bucket 0, turned round. */
export const DURATION_BUCKET_SHIFT = 4
