import { CLIENT } from '../memory/client-slots.ts'
import { type HistoryRing, SNAPSHOT, SNAPSHOT_F64, SNAPSHOT_FEATURES, SNAPSHOT_TEXT } from '../memory/history-ring.ts'
import { IDENTITY_TEXT } from '../memory/identity-records.ts'
import { PROFILE, PROFILE_F64 } from '../memory/profile-records.ts'
import type { FeatureRegions } from './feature-vector.ts'

/** Writes a snapshot of the client in `slot` into the ring; false: no room. `vector`: its features at `now`. */
export function writeSnapshot(
  ring: HistoryRing,
  regions: FeatureRegions,
  slot: number,
  vector: Float32Array,
  kind: number,
  now: number,
): boolean {
  const record = ring.claim()
  if (record < 0) return false
  const { profiles, identities, clients } = regions
  const { i32, f64, f32, recordBytes, bytes } = ring.region
  const i = slot * (profiles.recordBytes >> 2)
  const to = record * (recordBytes >> 2)
  const of = (field: number): number => profiles.i32[i + field] as number
  i32[to + SNAPSHOT.kind] = kind
  i32[to + SNAPSHOT.slot] = slot
  i32[to + SNAPSHOT.generation] = of(PROFILE.generation)
  i32[to + SNAPSHOT.queries] = of(PROFILE.queries)
  i32[to + SNAPSHOT.decided] = of(PROFILE.decided)
  i32[to + SNAPSHOT.proposed] = of(PROFILE.proposed)
  i32[to + SNAPSHOT.ruleTier] = of(PROFILE.ruleTier)
  i32[to + SNAPSHOT.source] = of(PROFILE.source)
  i32[to + SNAPSHOT.model] = of(PROFILE.model)
  i32[to + SNAPSHOT.remotePort] = clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.remotePort] as number
  f64[(to >> 1) + SNAPSHOT_F64.time] = now
  f64[(to >> 1) + SNAPSHOT_F64.connectedAt] = profiles.f64[(i >> 1) + PROFILE_F64.connectedAt] as number
  f32.set(vector, to + SNAPSHOT_FEATURES)
  const identity = of(PROFILE.identity) - 1
  for (const [name, { offset, capacity }] of Object.entries(SNAPSHOT_TEXT)) {
    const at = record * recordBytes + offset
    if (identity < 0) bytes[at] = 0
    else {
      const from = identity * identities.recordBytes + IDENTITY_TEXT[name as keyof typeof IDENTITY_TEXT].offset
      identities.bytes.copy(bytes, at, from, from + capacity)
    }
  }
  ring.commit()
  return true
}
