import type { BufferArena } from '../io/buffer-arena.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_SECTION, SERVER_SECTIONS } from '../memory/server-slots.ts'
import { heldSection } from '../memory/slot-section.ts'
import { NUMBER_BYTES, STATEMENT_BYTES } from './server-record.ts'

/** Adds the ids of all values to which the server connection of this slot refers, as it is after the step `committed`. */
export function addServerReferences(
  { servers, arena }: { readonly servers: Region; readonly arena: BufferArena },
  slot: number,
  committed: number,
  ids: Set<number>,
): void {
  const { i32 } = servers
  const i = slot * (servers.recordBytes >> 2)
  ids.add(i32[i + SERVER.reportedId] as number).add(i32[i + SERVER.targetId] as number)
  const at = heldSection(servers, slot, SERVER_SECTIONS, committed)
  if (at < 0) return
  ids.add(i32[at + SERVER_SECTION.parametersId] as number)
  const handle = i32[at + SERVER_SECTION.statementsHandle] as number
  if (handle === 0) return
  const start = arena.offset(handle)
  const end = start + (i32[at + SERVER_SECTION.statementsBytes] as number)
  const { bytes } = arena.memory
  for (let each = start; each < end; each += STATEMENT_BYTES) ids.add(bytes.readInt32LE(each + NUMBER_BYTES))
}
