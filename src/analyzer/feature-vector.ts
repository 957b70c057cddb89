import { CLIENT, CLIENT_F64 } from '../memory/client-slots.ts'
import { IDENTITY, IDENTITY_SUM } from '../memory/identity-records.ts'
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
import { DURATION_BUCKET_SHIFT, TAU_FAST_MS, TAU_SLOW_MS } from './connection-profiles.ts'
import { FEATURE, IDENTITY_FEATURES, IDENTITY_HISTORY_FEATURES } from './feature-schema.ts'
import { roughLog2 } from './rough-log.ts'

/** The regions that a vector is made of. */
export interface FeatureRegions {
  readonly clients: Region
  readonly profiles: Region
  readonly identities: Region
}

/**
 * Writes all features of the client in `slot` to `vector` but those of `IDENTITY_FEATURES`, which are for a vocabulary to
 * give. Allocates nothing. `now`: monotonic milliseconds, of the last update of the profile or later.
 */
export function fillFeatures(vector: Float32Array, regions: FeatureRegions, slot: number, now: number): void {
  const i = slot * (regions.profiles.recordBytes >> 2)
  fillStatic(vector, regions.profiles, i)
  fillLoad(vector, regions.profiles, i, now)
  fillMeans(vector, regions.profiles.f32, i)
  fillPresent(vector, regions, slot, i, now)
  const identity = (regions.profiles.i32[i + PROFILE.identity] as number) - 1
  if (identity >= 0) fillIdentity(vector, regions.identities, identity)
  else for (const feature of OF_IDENTITY) vector[feature] = Number.NaN
}

/** What is known by the identity's record alone. */
const OF_IDENTITY = [FEATURE.superuser, FEATURE.memberships, ...IDENTITY_HISTORY_FEATURES]

/** The number of identity features, which are the first ones. */
export const IDENTITY_FEATURE_COUNT: number = IDENTITY_FEATURES.length

function fillStatic(vector: Float32Array, { i32, f32 }: Region, i: number): void {
  const flags = i32[i + PROFILE.flags] as number
  vector[FEATURE.tls] = flags & PROFILE_FLAG.tls ? 1 : 0
  vector[FEATURE.local] = flags & PROFILE_FLAG.local ? 1 : 0
  vector[FEATURE.replication] = flags & PROFILE_FLAG.replication ? 1 : 0
  vector[FEATURE.readOnly] = flags & PROFILE_FLAG.readOnly ? 1 : 0
  vector[FEATURE.statementTimeout] = f32[i + PROFILE_F32.statementTimeout] as number
  vector[FEATURE.startupSettings] = i32[i + PROFILE.startupSettings] as number
}

function fillLoad(vector: Float32Array, { i32, f64, f32 }: Region, i: number, now: number): void {
  const f = i >> 1
  const age = Math.max(1, now - (f64[f + PROFILE_F64.connectedAt] as number))
  // What has passed since the sums were brought up to date.
  const passed = Math.max(0, now - (f64[f + PROFILE_F64.updatedAt] as number))
  const slow = passed === 0 ? 1 : Math.exp(-passed / TAU_SLOW_MS)
  const fast = passed === 0 ? 1 : Math.exp(-passed / TAU_FAST_MS)
  const slowMs = TAU_SLOW_MS * (1 - Math.exp(-age / TAU_SLOW_MS))
  const fastMs = TAU_FAST_MS * (1 - Math.exp(-age / TAU_FAST_MS))
  vector[FEATURE.rateSlow] = (1000 * slow * (f32[i + PROFILE_SUM.count] as number)) / slowMs
  vector[FEATURE.rateFast] = (1000 * fast * (f32[i + PROFILE_FAST.count] as number)) / fastMs
  vector[FEATURE.busySlow] = (slow * (f32[i + PROFILE_SUM.busyMs] as number)) / slowMs
  vector[FEATURE.busyFast] = (fast * (f32[i + PROFILE_FAST.busyMs] as number)) / fastMs
  vector[FEATURE.idleInTransaction] = (slow * (f32[i + PROFILE_SUM.idleInTransactionMs] as number)) / slowMs
  vector[FEATURE.queries] = roughLog2(1 + (i32[i + PROFILE.queries] as number))
  vector[FEATURE.age] = roughLog2(1 + age / 1000)
}

/** Means do not depend on when the sums were brought up to date. Without a query they are not known. */
function fillMeans(vector: Float32Array, f32: Float32Array, i: number): void {
  const count = f32[i + PROFILE_SUM.count] as number
  const per = count > 1e-6 ? 1 / count : Number.NaN
  vector[FEATURE.duration] = (f32[i + PROFILE_SUM.logDuration] as number) * per
  const mean = vector[FEATURE.duration] as number
  vector[FEATURE.durationSpread] = spread(f32[i + PROFILE_SUM.logDurationSquares] as number, per, mean)
  vector[FEATURE.durationP95] = count > 1e-6 ? quantile(f32, i + PROFILE_SUM.histogram, 0.95) : Number.NaN
  const fast = f32[i + PROFILE_FAST.count] as number
  vector[FEATURE.durationFast] =
    fast > 1e-6 ? (f32[i + PROFILE_FAST.logDuration] as number) / fast : (vector[FEATURE.duration] as number)
  vector[FEATURE.rows] = (f32[i + PROFILE_SUM.logRows] as number) * per
  vector[FEATURE.bytesIn] = (f32[i + PROFILE_SUM.logBytesIn] as number) * per
  vector[FEATURE.bytesOut] = (f32[i + PROFILE_SUM.logBytesOut] as number) * per
  vector[FEATURE.errors] = (f32[i + PROFILE_SUM.errors] as number) * per
  vector[FEATURE.cancels] = (f32[i + PROFILE_SUM.cancels] as number) * per
  const statements = f32[i + PROFILE_SUM.statements] as number
  const each = statements > 1e-6 ? 1 / statements : Number.NaN
  for (let kind = 0; kind < 6; kind++) {
    vector[FEATURE.selects + kind] = (f32[i + PROFILE_SUM.selects + kind] as number) * each
  }
  vector[FEATURE.extended] = (f32[i + PROFILE_SUM.extended] as number) * each
  const transactions = f32[i + PROFILE_SUM.transactions] as number
  vector[FEATURE.transactionLength] =
    transactions > 1e-6 ? (f32[i + PROFILE_SUM.logTransaction] as number) / transactions : Number.NaN
  vector[FEATURE.queriesPerTransaction] = transactions > 1e-6 ? count / transactions : Number.NaN
  const thinks = f32[i + PROFILE_SUM.thinks] as number
  const think = thinks > 1e-6 ? 1 / thinks : Number.NaN
  vector[FEATURE.thinkTime] = (f32[i + PROFILE_SUM.logThink] as number) * think
  vector[FEATURE.thinkSpread] = spread(
    f32[i + PROFILE_SUM.logThinkSquares] as number,
    think,
    vector[FEATURE.thinkTime] as number,
  )
}

function spread(squares: number, per: number, mean: number): number {
  const variance = squares * per - mean * mean
  // Rounding may make it less than nothing; NaN stays what it is.
  return variance < 0 ? 0 : Math.sqrt(variance)
}

/** log2 of milliseconds at the upper border of the bucket in which the quantile lies. */
function quantile(f32: Float32Array, first: number, part: number): number {
  let total = 0
  for (let bucket = 0; bucket < PROFILE_SUMS.histogramBuckets; bucket++) total += f32[first + bucket] as number
  let below = 0
  let bucket = 0
  for (; bucket < PROFILE_SUMS.histogramBuckets - 1; bucket++) {
    below += f32[first + bucket] as number
    if (below >= part * total) break
  }
  return bucket - DURATION_BUCKET_SHIFT + 1
}

/** 0 is what nobody has written. */
function lessOne(value: number): number {
  return value === 0 ? Number.NaN : value - 1
}

function fillPresent(vector: Float32Array, regions: FeatureRegions, slot: number, i: number, now: number): void {
  const { clients, profiles, identities } = regions
  vector[FEATURE.prepared] = roughLog2(1 + (clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.prepared] as number))
  const queryAt = clients.f64[slot * (clients.recordBytes >> 3) + CLIENT_F64.queryAt] as number
  vector[FEATURE.running] = queryAt === 0 ? 0 : roughLog2(1 + now - queryAt)
  for (let at = 0; at < 4; at++) {
    vector[FEATURE.backendCpu + at] = profiles.f32[i + PROFILE_F32.backendCpu + at] as number
  }
  const identity = (profiles.i32[i + PROFILE.identity] as number) - 1
  vector[FEATURE.siblings] =
    identity < 0
      ? Number.NaN
      : roughLog2(identities.i32[identity * (identities.recordBytes >> 2) + IDENTITY.live] as number)
}

function fillIdentity(vector: Float32Array, { i32, f32, recordBytes }: Region, identity: number): void {
  const i = identity * (recordBytes >> 2)
  vector[FEATURE.superuser] = lessOne(i32[i + IDENTITY.superuser] as number)
  vector[FEATURE.memberships] = lessOne(i32[i + IDENTITY.memberships] as number)
  const count = f32[i + IDENTITY_SUM.count] as number
  const per = count > 1e-6 ? 1 / count : Number.NaN
  vector[FEATURE.identityDuration] = (f32[i + IDENTITY_SUM.logDuration] as number) * per
  vector[FEATURE.identityRows] = (f32[i + IDENTITY_SUM.logRows] as number) * per
  const statements = f32[i + IDENTITY_SUM.statements] as number
  const each = statements > 1e-6 ? 1 / statements : Number.NaN
  vector[FEATURE.identityWrites] = (f32[i + IDENTITY_SUM.writes] as number) * each
  vector[FEATURE.identityCopies] = (f32[i + IDENTITY_SUM.copies] as number) * each
  const openMs = f32[i + IDENTITY_SUM.openMs] as number
  vector[FEATURE.identityBusy] = openMs > 1 ? (f32[i + IDENTITY_SUM.busyMs] as number) / openMs : Number.NaN
  const ended = f32[i + IDENTITY_SUM.ended] as number
  const one = ended > 1e-6 ? 1 / ended : Number.NaN
  vector[FEATURE.identityQueries] = (f32[i + IDENTITY_SUM.logQueries] as number) * one
  vector[FEATURE.identityLength] = (f32[i + IDENTITY_SUM.logSeconds] as number) * one
  vector[FEATURE.identityConnections] = roughLog2(1 + (f32[i + IDENTITY_SUM.begun] as number))
}
