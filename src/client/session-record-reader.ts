import type { BufferArena } from '../io/buffer-arena.ts'
import type { Spill } from '../io/spill.ts'
import { CLIENT, CLIENT_SECTION, CLIENT_STATE_NAMES } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { ValueStore } from '../memory/value-store.ts'
import { decodeCredential, type EncodedCredential } from '../server/credential-codec.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import type { PreparedStatement, StatementReference, StatementRegistry } from '../session/prepared-statements.ts'
import { LoginTranscript } from './login-transcript.ts'
import {
  type LoginRecord,
  noSpills,
  type SessionExtra,
  type SessionIdentity,
  type SessionRecord,
  type SessionSpills,
} from './session-record.ts'
import type { StatementChange } from './statement-journal.ts'
import { NOTHING, UNNAMED } from './statement-journal.ts'

type NamedStatements = SessionRecord['statements']

/**
 * Sessions that another process has written down with `SessionRecords`. Values that many of them share are looked at once,
 * as long as there are sessions left to read.
 */
export class SessionRecordReader {
  readonly #store: ValueStore
  readonly #clients: Region
  readonly #arena: BufferArena
  readonly #parameters: ParameterRegistry
  readonly #statements: StatementRegistry
  /** By their id in the store; null: there is no such value. */
  readonly #identities = new Map<number, SessionIdentity | null>()
  readonly #sets = new Map<number, ParameterSet | null>()
  readonly #names = new Map<number, NamedStatements>()

  constructor(
    { store, clients, arena }: { store: ValueStore; clients: Region; arena: BufferArena },
    parameters: ParameterRegistry,
    statements: StatementRegistry,
  ) {
    this.#store = store
    this.#clients = clients
    this.#arena = arena
    this.#parameters = parameters
    this.#statements = statements
  }

  /**
   * Who the session of this slot is, where `read` can follow later: from now on nothing new gets the numbers of its statements.
   * Null: it cannot be rebuilt.
   */
  foresee(slot: number, at: number): SessionIdentity | null {
    const { i32 } = this.#clients
    const initial = this.#set(i32[at + CLIENT_SECTION.initialId] as number)
    const parameters = this.#set(i32[at + CLIENT_SECTION.parametersId] as number)
    if (initial === null || parameters === null) return null
    this.#named(i32[at + CLIENT_SECTION.statementsId] as number)
    return this.#identity(slot)
  }

  /** The session of this slot, as the section at `at` has it. Null: it cannot be rebuilt. */
  read(slot: number, at: number): SessionRecord | null {
    const { i32, recordBytes } = this.#clients
    const word = (field: number): number => i32[at + field] as number
    const identity = this.#identity(slot)
    const initial = this.#set(word(CLIENT_SECTION.initialId))
    const parameters = this.#set(word(CLIENT_SECTION.parametersId))
    if (identity === null || initial === null || parameters === null) return null
    const spills = this.#adoptSpills(at)
    const extra = spills === null || spills.extra.handle === 0 ? null : (parse(spills.extra) as SessionExtra)
    return {
      serial: i32[slot * (recordBytes >> 2) + CLIENT.serial] ?? 0,
      ...identity,
      state: CLIENT_STATE_NAMES[word(SECTION.state)] ?? 'free',
      flags: word(SECTION.flags),
      body: word(SECTION.body),
      pins: word(CLIENT_SECTION.pins),
      endsAfter: word(CLIENT_SECTION.endsAfter),
      serverSlot: word(SECTION.peer) - 1,
      initial,
      parameters,
      statements:
        spills === null || spills.statements.handle === 0
          ? this.#named(word(CLIENT_SECTION.statementsId))
          : this.#findAll(parse(spills.statements)),
      unnamed: spills === null || spills.unnamed.handle === 0 ? null : Buffer.from(spills.unnamed.data),
      changes: this.#readChanges(extra, word(CLIENT_SECTION.unnamedChanges)),
      deallocating: extra?.deallocating ? [extra.deallocating[0], this.#find(extra.deallocating[1])] : null,
      settings: extra?.state ?? null,
      refused: extra?.refused ?? null,
      listening: extra?.listening ?? null,
      doubt: extra?.doubt ?? null,
      replay: extra?.replay ?? null,
      spills,
    }
  }

  #readChanges(extra: SessionExtra | null, ofUnnamed: number): readonly StatementChange[] {
    if (ofUnnamed > 0) return new Array<StatementChange>(ofUnnamed).fill(UNNAMED)
    return (extra?.changes ?? []).map((change) => ({
      ...NOTHING,
      ...change,
      meant: change.meant === null ? null : this.#find(change.meant),
      statement: change.statement === null ? null : this.#find(change.statement),
    }))
  }

  /** The login of this slot, as the section at `at` has it: nothing was heard yet where that names no buffer. */
  readLogin(at: number): LoginRecord {
    const spills = this.#adoptSpills(at)
    const transcript = spills === null ? new LoginTranscript() : LoginTranscript.decode(spills.extra.data)
    return { transcript, spills }
  }

  /** No session is left to read. */
  finished(): void {
    this.#identities.clear()
    this.#sets.clear()
    this.#names.clear()
    this.#statements.restored()
  }

  /** Null: it has none. */
  #adoptSpills(at: number): SessionSpills | null {
    const { i32 } = this.#clients
    const fields = [SECTION.extraHandle, CLIENT_SECTION.statementsHandle, CLIENT_SECTION.unnamedHandle]
    if (fields.every((field) => i32[at + field] === 0)) return null
    const spills = noSpills(this.#arena)
    const adopt = (spill: Spill, handle: number, bytes: number): void =>
      spill.adopt(i32[at + handle] as number, i32[at + bytes] as number)
    adopt(spills.extra, SECTION.extraHandle, SECTION.extraBytes)
    adopt(spills.statements, CLIENT_SECTION.statementsHandle, CLIENT_SECTION.statementsBytes)
    adopt(spills.unnamed, CLIENT_SECTION.unnamedHandle, CLIENT_SECTION.unnamedBytes)
    return spills
  }

  #identity(slot: number): SessionIdentity | null {
    const { i32, recordBytes } = this.#clients
    const id = i32[slot * (recordBytes >> 2) + CLIENT.identityId] ?? 0
    let identity = this.#identities.get(id)
    if (identity !== undefined) return identity
    const value = this.#value(id) as { user: string; database: string; credential: EncodedCredential } | null
    identity = value === null ? null : { ...value, credential: decodeCredential(value.credential) }
    this.#identities.set(id, identity)
    return identity
  }

  #set(id: number): ParameterSet | null {
    let set = this.#sets.get(id)
    if (set !== undefined) return set
    const values = this.#value(id) as [string, string][] | null
    set = values === null ? null : this.#parameters.of(values)
    if (set !== null) {
      set.storedAs = id
      set.storedIn = this.#store.epoch
    }
    this.#sets.set(id, set)
    return set
  }

  #named(id: number): NamedStatements {
    let named = this.#names.get(id)
    if (named === undefined) {
      named = this.#findAll(this.#value(id) ?? [])
      this.#names.set(id, named)
    }
    return named
  }

  #findAll(names: unknown): NamedStatements {
    return (names as [string, number, number][]).map(([name, id, stored]) => [name, this.#find([id, stored])])
  }

  #find([id, storedAs]: StatementReference): PreparedStatement {
    const tail = this.#store.get(storedAs)
    if (tail === null) return this.#statements.restoreLong(id)
    const statement = this.#statements.restore(id, tail)
    statement.storedAs = storedAs
    statement.storedIn = this.#store.epoch
    return statement
  }

  #value(id: number): unknown {
    const bytes = this.#store.get(id)
    return bytes === null ? null : JSON.parse(bytes.toString('utf8'))
  }
}

const parse = (spill: Spill): unknown => JSON.parse(spill.data.toString('utf8'))
