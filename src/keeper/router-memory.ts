import type { OwnedFd } from '../io/owned-fd.ts'
import { createMemoryFile, SharedMapping } from '../io/shared-memory.ts'
import { type Geometry, HEADER, PAGE_BYTES, regionsOf, tlsBytes } from '../memory/layout.ts'
import { formatSharedState, openSharedState, readGeometry, type SharedState } from '../memory/shared-state.ts'

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
