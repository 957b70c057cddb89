import { type ClientView, readClient } from '../memory/client-slots.ts'
import { HEADER } from '../memory/layout.ts'
import { type PlaneView, readPlane } from '../memory/plane-records.ts'
import { type PoolIdentity, type PoolView, readPool, readPoolIdentity } from '../memory/pool-records.ts'
import { readServer, type ServerView } from '../memory/server-slots.ts'
import type { SharedState } from '../memory/shared-state.ts'

/** Every client slot in use, read as it is reached: planes go on writing meanwhile. */
export function* clientsOf(memory: SharedState): Generator<ClientView> {
  for (let slot = 0; slot < memory.geometry.clientSlots; slot++) {
    const client = readClient(memory.clients, slot)
    if (client !== null) yield client
  }
}

/** Every server slot in use. */
export function* serversOf(memory: SharedState): Generator<ServerView> {
  for (let slot = 0; slot < memory.geometry.serverSlots; slot++) {
    const server = readServer(memory.servers, slot)
    if (server !== null) yield server
  }
}

/** Every pool record in use. */
export function* poolsOf(memory: SharedState): Generator<PoolView> {
  for (let record = 0; record < memory.geometry.poolRecords; record++) {
    const pool = readPool(memory.pools, record)
    if (pool !== null) yield pool
  }
}

/** The record of every plane that ever ran, up to the configured number. */
export function* planesOf(memory: SharedState): Generator<PlaneView> {
  for (let plane = 0; plane < memory.geometry.planes; plane++) {
    const view = readPlane(memory.planes, plane)
    if (view !== null) yield view
  }
}

/** The record a slot points to, or null: it may have been freed since the slot was read. */
export function poolAt(memory: SharedState, record: number | null): PoolIdentity | null {
  if (record === null || record < 0 || record >= memory.geometry.poolRecords) return null
  return readPoolIdentity(memory.pools, record)
}

/** `2026-03-01 12:00:00 UTC`, as PgBouncer writes it; null for a time that has not come (0). */
export function timestampText(memory: SharedState, monotonic: number): string | null {
  if (monotonic === 0) return null
  const time = new Date(monotonic + (memory.headerF64[HEADER.wallClockOffset] ?? 0))
  if (Number.isNaN(time.getTime())) return null
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`
}

/** Microseconds since a monotonic time; 0 for a time that has not come or lies ahead. */
export function microsecondsSince(now: number, monotonic: number): number {
  return monotonic === 0 ? 0 : Math.max(0, Math.round((now - monotonic) * 1000))
}
