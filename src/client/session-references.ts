import type { BufferArena } from '../io/buffer-arena.ts'
import { CLIENT, CLIENT_SECTION, CLIENT_SECTIONS, CLIENT_STATE, CLIENT_STEP } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { heldSection, SECTION } from '../memory/slot-section.ts'
import type { ValueStore } from '../memory/value-store.ts'
import type { StatementReference } from '../session/prepared-statements.ts'
import type { SessionExtra } from './session-record.ts'

type Names = readonly (readonly [string, number, number])[]

/** What is read to find out to which values slots refer. */
export interface RecordMemory {
  readonly store: ValueStore
  readonly clients: Region
  readonly servers: Region
  readonly arena: BufferArena
}

/** Adds the ids of all values to which the session of this slot refers, as it is after the step `committed`. */
export function addSessionReferences(
  { store, clients, arena }: RecordMemory,
  slot: number,
  committed: number,
  ids: Set<number>,
): void {
  const { i32 } = clients
  ids.add(i32[slot * (clients.recordBytes >> 2) + CLIENT.identityId] as number)
  const at = heldSection(clients, slot, CLIENT_SECTIONS, committed)
  if (at < 0) return
  const word = (field: number): number => i32[at + field] as number
  const state = word(SECTION.state)
  if (state === CLIENT_STATE.login || state === CLIENT_STATE.closing || !isWhole(word(SECTION.flags))) return
  const spilled = (handle: number, bytes: number): unknown => {
    if (word(handle) === 0) return null
    const start = arena.offset(word(handle))
    return JSON.parse(arena.memory.bytes.toString('utf8', start, start + word(bytes)))
  }
  ids.add(word(CLIENT_SECTION.initialId)).add(word(CLIENT_SECTION.parametersId))
  addNames(store, word(CLIENT_SECTION.statementsId), ids)
  addStatements(spilled(CLIENT_SECTION.statementsHandle, CLIENT_SECTION.statementsBytes), ids)
  addExtra(spilled(SECTION.extraHandle, SECTION.extraBytes), ids)
}

/** Else nobody can go on with it, and what the section refers to may be something else by now. */
function isWhole(flags: number): boolean {
  if ((flags & CLIENT_STEP.unsaved) !== 0) return false
  return (flags & CLIENT_STEP.torn) === 0 || (flags & CLIENT_STEP.replaying) !== 0
}

/** Names that many sessions have are looked at once. */
function addNames(store: ValueStore, id: number, ids: Set<number>): void {
  if (ids.has(id)) return
  ids.add(id)
  const value = store.get(id)
  if (value !== null) addStatements(JSON.parse(value.toString('utf8')), ids)
}

function addStatements(names: unknown, ids: Set<number>): void {
  for (const [, , storedAs] of (names ?? []) as Names) ids.add(storedAs)
}

function addExtra(extra: unknown, ids: Set<number>): void {
  if (extra === null) return
  const { changes, deallocating } = extra as SessionExtra
  const add = (statement: StatementReference | null): void => {
    if (statement !== null) ids.add(statement[1])
  }
  for (const { meant, statement } of changes) {
    add(meant)
    add(statement)
  }
  add(deallocating?.[1] ?? null)
}
