import { TAU_IDENTITY_MS } from '../../analyzer/identity-profiles.ts'
import {
  IDENTITY,
  IDENTITY_F64,
  IDENTITY_SUMS,
  IDENTITY_TEXT,
  type IdentityNames,
  readIdentityNames,
} from '../../memory/identity-records.ts'
import { HEADER, IDENTITY_RECORDS } from '../../memory/layout.ts'
import type { SharedState } from '../../memory/shared-state.ts'

const FORMAT = 1

interface SavedIdentity {
  readonly plane: number
  readonly names: IdentityNames
  readonly lastTier: number
  /** Milliseconds since 1970. */
  readonly updatedAt: number
  readonly seenAt: number
  readonly queries: number
  readonly connections: number
  readonly sums: readonly number[]
}

/** The profiles of all identities as a text that `loadIdentities` reads. */
export function saveIdentities(memory: SharedState, wallNow: number): string {
  const { identities } = memory
  const offset = memory.headerF64[HEADER.wallClockOffset] as number
  const saved: SavedIdentity[] = []
  for (let record = 0; record < identities.count; record++) {
    // Records are used in order; behind the first that never was, there are none, and looking would take memory.
    const names = readIdentityNames(identities, record)
    if (names === null) {
      record = (Math.floor(record / IDENTITY_RECORDS) + 1) * IDENTITY_RECORDS - 1
      continue
    }
    const i = record * (identities.recordBytes >> 2)
    const f = i >> 1
    const of = (field: number): number => identities.f64[f + field] as number
    saved.push({
      plane: Math.floor(record / IDENTITY_RECORDS),
      names,
      lastTier: identities.i32[i + IDENTITY.lastTier] as number,
      updatedAt: of(IDENTITY_F64.updatedAt) + offset,
      seenAt: of(IDENTITY_F64.seenAt) + offset,
      queries: of(IDENTITY_F64.queries),
      connections: of(IDENTITY_F64.connections),
      sums: Array.from(identities.f32.subarray(i + IDENTITY_SUMS.first, i + IDENTITY_SUMS.end)),
    })
  }
  return JSON.stringify({ format: FORMAT, savedAt: wallNow, identities: saved })
}

/**
 * Puts saved profiles into a memory that no plane has used yet; what is older counts as less. Throws for a text that is
 * none of ours.
 */
export function loadIdentities(memory: SharedState, text: string, wallNow: number): void {
  const file = JSON.parse(text) as { readonly format: number; readonly identities: readonly SavedIdentity[] }
  if (file.format !== FORMAT) throw new Error(`the file has format ${file.format}, not ${FORMAT}`)
  const { identities, geometry } = memory
  const offset = memory.headerF64[HEADER.wallClockOffset] as number
  const used = new Array<number>(geometry.planes).fill(0)
  for (const saved of file.identities.toSorted((a, b) => b.seenAt - a.seenAt)) {
    const plane = saved.plane < geometry.planes ? saved.plane : 0
    const at = used[plane] as number
    // Half of a table stays free for those that come.
    if (at >= IDENTITY_RECORDS / 2) continue
    used[plane] = at + 1
    const record = plane * IDENTITY_RECORDS + at
    const i = record * (identities.recordBytes >> 2)
    const f = i >> 1
    const factor = Math.exp(-Math.max(0, wallNow - saved.updatedAt) / TAU_IDENTITY_MS)
    for (const [name, { offset: to, capacity }] of Object.entries(IDENTITY_TEXT)) {
      identities.writeText(record, to, capacity, saved.names[name as keyof IdentityNames])
    }
    identities.i32[i + IDENTITY.lastTier] = saved.lastTier
    identities.f64[f + IDENTITY_F64.updatedAt] = wallNow - offset
    identities.f64[f + IDENTITY_F64.seenAt] = saved.seenAt - offset
    identities.f64[f + IDENTITY_F64.queries] = saved.queries
    identities.f64[f + IDENTITY_F64.connections] = saved.connections
    for (const [index, sum] of saved.sums.entries()) identities.f32[i + IDENTITY_SUMS.first + index] = sum * factor
    identities.i32[i + IDENTITY.used] = 1
  }
}
