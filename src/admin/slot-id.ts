import { CLIENT } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { SERVER } from '../memory/server-slots.ts'

/** Slots are numbered below this, so that an id fits a double: 22 bits of slot under 31 bits of generation. */
const SLOTS = 2 ** 22

/**
 * How people name a connection. A slot is used again by the next connection; its generation tells them apart, so that
 * KILL_CLIENT with an id read a minute ago never hits somebody else.
 */
export interface SlotId {
  readonly slot: number
  readonly generation: number
}

export function formatSlotId({ slot, generation }: SlotId): number {
  return (generation & 0x7fffffff) * SLOTS + slot
}

/** The parts of an id, or null when no slot can have it. */
export function parseSlotId(id: number): SlotId | null {
  if (!Number.isSafeInteger(id) || id < 0) return null
  return { slot: id % SLOTS, generation: Math.floor(id / SLOTS) }
}

export function clientId(clients: Region, slot: number): number {
  return formatSlotId({ slot, generation: clientGeneration(clients, slot) })
}

/** How often the slot has been used; wraps at 2³². */
export function clientGeneration(clients: Region, slot: number): number {
  return (clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.generation] ?? 0) >>> 0
}

export function serverId(servers: Region, slot: number): number {
  return formatSlotId({ slot, generation: servers.i32[slot * (servers.recordBytes >> 2) + SERVER.generation] ?? 0 })
}
