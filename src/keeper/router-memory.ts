import type { OwnedFd } from '../io/owned-fd.ts'
import { createMemoryFile, SharedMapping } from '../io/shared-memory.ts'
import { type Geometry, HEADER, PAGE_BYTES, regionsOf, tlsBytes } from '../memory/layout.ts'
import { PLANE_F64 } from '../memory/plane-records.ts'
import { formatSharedState, openSharedState, readGeometry, type SharedState } from '../memory/shared-state.ts'
import type { Preserved } from './router-upgrade.ts'

/** The shared memory of a router, as its keeper has it. */
export interface RouterMemory {
  /** Inherited by the others. */
  readonly fd: OwnedFd
  readonly state: SharedState
}

/** Makes and stamps it. */
export function createRouterMemory(geometry: Geometry, wallClockOffset: number, startedAt: number): RouterMemory {
  const { totalBytes } = regionsOf(geometry)
  const fd = createMemoryFile('switchyard', totalBytes)
  const mapping = new SharedMapping(fd, totalBytes)
  const state = formatSharedState(mapping.memory, geometry, wallClockOffset)
  mapping.hideFromDumps(state.regions.clientTls, tlsBytes(state.regions))
  state.headerF64[HEADER.startedAt] = startedAt
  return { fd, state }
}

/** That of a keeper that has died. Throws when it is of a layout that this version cannot read. */
export function openRouterMemory(fd: OwnedFd): RouterMemory {
  const { totalBytes } = regionsOf(readGeometry(new SharedMapping(fd, PAGE_BYTES).memory))
  const mapping = new SharedMapping(fd, totalBytes)
  const state = openSharedState(mapping.memory)
  mapping.hideFromDumps(state.regions.clientTls, tlsBytes(state.regions))
  return { fd, state }
}

/** Sums over all planes since the router started. */
export function preservedSoFar({ planes, geometry }: SharedState): Preserved {
  const sums = { kept: 0, dropped: 0, stallMs: 0 }
  for (let plane = 0; plane < geometry.planes; plane++) {
    const total = (field: number): number => planes.f64[plane * (planes.recordBytes >> 3) + field] ?? 0
    sums.kept += total(PLANE_F64.clientsKept)
    sums.dropped += total(PLANE_F64.clientsDropped)
    sums.stallMs = Math.max(sums.stallMs, total(PLANE_F64.stallMs))
  }
  return sums
}
