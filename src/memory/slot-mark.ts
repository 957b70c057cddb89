import type { Region } from './region.ts'

/** One client or server slot. */
export interface MarkedSlot {
  readonly kind: 'client' | 'server'
  readonly slot: number
}

/**
 * One number for any slot of any region, for `PLANE.slotInProgress`: where in the shared memory it lies, in units of the
 * size that all slots have. Never 0, which is the header.
 */
export function slotMark(region: Region, slot: number): number {
  return region.i32.byteOffset / region.recordBytes + slot
}

/** The slot that `mark` stands for; null for 0, and for a number that is none. */
export function markedSlot(clients: Region, servers: Region, mark: number): MarkedSlot | null {
  const client = mark - slotMark(clients, 0)
  if (client >= 0 && client < clients.count) return { kind: 'client', slot: client }
  const server = mark - slotMark(servers, 0)
  if (server >= 0 && server < servers.count) return { kind: 'server', slot: server }
  return null
}
