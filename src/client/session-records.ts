import type { BufferArena } from '../io/buffer-arena.ts'
import { Spill } from '../io/spill.ts'
import {
  CLIENT,
  CLIENT_SECTION,
  CLIENT_STATE_NAMES,
  CLIENT_STEP,
  type ClientState,
  clientStateCode,
} from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { ValueStore } from '../memory/value-store.ts'
import { decodeCredential, type EncodedCredential, encodeCredential } from '../server/credential-codec.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import type {
  PreparedStatement,
  SessionStatements,
  StatementReference,
  StatementRegistry,
} from '../session/prepared-statements.ts'
import type { CommitDoubt, DoubtSnapshot } from './commit-doubt.ts'
import type { RefusalsSnapshot } from './refusals.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ListeningSnapshot, SessionListening } from './session-listening.ts'
import type { SessionState, StateSnapshot } from './session-state.ts'
import { UNNAMED } from './statement-book.ts'
import type { SavedChange, StatementChange } from './statement-journal.ts'

/** Who a session is, which never changes. */
export interface SessionIdentity {
  readonly user: string
  readonly database: string
  /** What its login left us to log in to shards with. */
  readonly credential: ServerCredential
}

/** Buffers of a session that is not just at rest. */
export interface SessionSpills {
  readonly extra: Spill
  readonly statements: Spill
  readonly unnamed: Spill
  /** The versions that are written down. */
  statementsVersion: number
  unnamedVersion: number
}

/** What a section has no numbers for; rarely there. */
interface Extra {
  readonly state: StateSnapshot | null
  readonly refused: RefusalsSnapshot | null
  readonly changes: readonly SavedChange[]
  readonly deallocating: readonly [string, StatementReference] | null
  readonly listening: ListeningSnapshot | null
  readonly doubt: DoubtSnapshot | null
}

/** Everything that a session is, beside what its slot says by itself. */
export interface SessionRecord extends SessionIdentity {
  readonly serial: number
  readonly state: ClientState
  /** CLIENT_STEP bits. */
  readonly flags: number
  readonly body: number
  readonly pins: number
  readonly endsAfter: number
  /** −1: it has no server connection. */
  readonly serverSlot: number
  readonly initial: ParameterSet
  readonly parameters: ParameterSet
  readonly statements: readonly (readonly [string, PreparedStatement])[]
  readonly unnamed: Buffer | null
  readonly changes: readonly StatementChange[]
  readonly deallocating: readonly [string, PreparedStatement] | null
  readonly settings: StateSnapshot | null
  readonly refused: RefusalsSnapshot | null
  readonly listening: ListeningSnapshot | null
  readonly doubt: DoubtSnapshot | null
  readonly spills: SessionSpills | null
}

/** The session that is recorded. */
export interface RecordedSession {
  readonly state: ClientState
  readonly server: ServerConnection | null
  readonly settings: SessionState
  readonly requests: RequestRelay
  readonly listening: SessionListening | null
  readonly doubt: CommitDoubt | null
  /** CLIENT_STEP bits of what is none of the others' business. */
  readonly stepFlags: number
  spills: SessionSpills | null
}

/**
 * Sessions in shared memory, so that another process can go on with them: numbers in the slot's section, ids of values that
 * many share, and, for what is neither, buffers of their own. Written whenever a step has touched the session.
 *
 * Credentials are among the values: the memory is no file, and only processes of the router can map it.
 */
export class SessionRecords {
  readonly #store: ValueStore
  readonly #clients: Region
  readonly #arena: BufferArena
  readonly #parameters: ParameterRegistry
  readonly #statements: StatementRegistry

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

  /** Once, when the client has logged in. */
  identify(slot: number, { user, database, credential }: SessionIdentity): void {
    const { i32, recordBytes } = this.#clients
    i32[slot * (recordBytes >> 2) + CLIENT.identityId] = this.#store.put(
      json({ user, database, credential: encodeCredential(credential) }),
    )
  }

  /** Completes the section at `at`. `isTorn`: the session is in the middle of something. */
  save(session: RecordedSession, at: number, isTorn: boolean): void {
    const { i32 } = this.#clients
    const { settings, requests, server, state } = session
    i32[at + SECTION.state] = clientStateCode(state)
    // Nobody goes on with it, so nothing may be kept for it.
    if (state === 'closing' || state === 'login') {
      i32[at + SECTION.flags] = CLIENT_STEP.torn
      i32[at + SECTION.extraHandle] = 0
      i32[at + CLIENT_SECTION.statementsHandle] = 0
      i32[at + CLIENT_SECTION.unnamedHandle] = 0
      return
    }
    i32[at + SECTION.body] = requests.bodyRemaining
    i32[at + SECTION.peer] = server === null ? 0 : server.slot + 1
    i32[at + CLIENT_SECTION.pins] = settings.pins
    i32[at + CLIENT_SECTION.endsAfter] = server === null ? 0 : settings.endsAfter(server.queue)
    const isWhole =
      this.#saveSettings(settings, at) &&
      this.#saveNames(session, at) &&
      this.#saveUnnamed(session, at) &&
      this.#saveExtra(session, at)
    i32[at + SECTION.flags] =
      (isTorn ? CLIENT_STEP.torn : 0) |
      (isWhole ? 0 : CLIENT_STEP.unsaved) |
      session.stepFlags |
      settings.stepFlags |
      requests.stepFlags
  }

  /** The session is over. */
  release({ spills }: RecordedSession): void {
    if (spills === null) return
    spills.extra.clear()
    spills.statements.clear()
    spills.unnamed.clear()
  }

  #saveSettings({ initial, parameters }: SessionState, at: number): boolean {
    const { i32 } = this.#clients
    if (initial === null || parameters === null) return false
    i32[at + CLIENT_SECTION.initialId] = this.#storeSet(initial)
    i32[at + CLIENT_SECTION.parametersId] = this.#storeSet(parameters)
    return initial.storedAs !== 0 && parameters.storedAs !== 0
  }

  #storeSet(set: ParameterSet): number {
    if (set.storedAs === 0) set.storedAs = this.#store.put(json([...set.values]))
    return set.storedAs
  }

  /** Names that have changed are shared with other sessions when this one has come to rest. */
  #saveNames(session: RecordedSession, at: number): boolean {
    const { i32 } = this.#clients
    const named = session.requests.statements?.book.named ?? null
    let id = 0
    let isWhole = true
    if (named === null || named.size === 0) session.spills?.statements.clear()
    else {
      if (named.storedAs <= 0 && session.state === 'idle')
        named.storedAs = this.#store.put(this.#encodeNames(named)) || -1
      if (named.storedAs > 0) {
        id = named.storedAs
        session.spills?.statements.clear()
      } else isWhole = this.#spillNames(this.#spillsOf(session), named)
    }
    i32[at + CLIENT_SECTION.statementsId] = id
    i32[at + CLIENT_SECTION.statementsHandle] = session.spills?.statements.handle ?? 0
    i32[at + CLIENT_SECTION.statementsBytes] = session.spills?.statements.bytes ?? 0
    return isWhole
  }

  #spillNames(spills: SessionSpills, named: SessionStatements): boolean {
    if (spills.statements.handle !== 0 && spills.statementsVersion === named.version) return true
    spills.statementsVersion = named.version
    return spills.statements.put(this.#encodeNames(named))
  }

  #encodeNames(named: SessionStatements): Buffer {
    const names: [string, number, number][] = []
    for (const [name, statement] of named.entries()) names.push([name, ...this.#refer(statement)])
    return json(names)
  }

  #refer(statement: PreparedStatement): StatementReference {
    if (statement.storedAs === 0 && !statement.isLong) statement.storedAs = this.#store.put(statement.tail)
    return [statement.id, statement.storedAs]
  }

  #saveUnnamed(session: RecordedSession, at: number): boolean {
    const { i32 } = this.#clients
    const book = session.requests.statements?.book
    const unnamed = book?.unnamed ?? null
    let isWhole = true
    if (book === undefined || unnamed === null) session.spills?.unnamed.clear()
    else {
      const spills = this.#spillsOf(session)
      if (spills.unnamed.handle === 0 || spills.unnamedVersion !== book.unnamedVersion) {
        spills.unnamedVersion = book.unnamedVersion
        isWhole = spills.unnamed.put(unnamed)
      }
    }
    i32[at + CLIENT_SECTION.unnamedHandle] = session.spills?.unnamed.handle ?? 0
    i32[at + CLIENT_SECTION.unnamedBytes] = session.spills?.unnamed.bytes ?? 0
    return isWhole
  }

  #saveExtra(session: RecordedSession, at: number): boolean {
    const { i32 } = this.#clients
    const extra = this.#extraOf(session)
    i32[at + CLIENT_SECTION.unnamedChanges] = session.requests.statements?.book.unconfirmedUnnamed ?? 0
    let isWhole = true
    if (extra === null) session.spills?.extra.clear()
    else isWhole = this.#spillsOf(session).extra.put(json(extra))
    i32[at + SECTION.extraHandle] = session.spills?.extra.handle ?? 0
    i32[at + SECTION.extraBytes] = session.spills?.extra.bytes ?? 0
    return isWhole
  }

  #extraOf({ settings, requests, listening, doubt }: RecordedSession): Extra | null {
    const state = settings.snapshot
    const { refused, statements } = requests
    const unconfirmed = statements?.book.unconfirmed ?? null
    const deallocating = statements?.inSql?.deallocating ?? null
    const heard = listening?.snapshot ?? null
    const isUsual = state === null && refused === null && unconfirmed === null && deallocating === null
    if (isUsual && heard === null && doubt === null) return null
    const refer = (statement: PreparedStatement | null): StatementReference | null =>
      statement === null ? null : this.#refer(statement)
    return {
      state,
      refused,
      changes: (unconfirmed ?? []).map((change) => ({
        ...change,
        meant: refer(change.meant),
        statement: refer(change.statement),
      })),
      deallocating: deallocating === null ? null : [deallocating.name, this.#refer(deallocating.statement)],
      listening: heard,
      doubt: doubt?.snapshot ?? null,
    }
  }

  #spillsOf(session: RecordedSession): SessionSpills {
    session.spills ??= this.#newSpills()
    return session.spills
  }

  #newSpills(): SessionSpills {
    const spill = (): Spill => new Spill(this.#arena)
    return { extra: spill(), statements: spill(), unnamed: spill(), statementsVersion: -1, unnamedVersion: -1 }
  }

  /** The session of this slot, as the section at `at` has it. Null: it cannot be rebuilt. */
  read(slot: number, at: number): SessionRecord | null {
    const { i32, recordBytes } = this.#clients
    const word = (field: number): number => i32[at + field] as number
    const identity = this.#value(i32[slot * (recordBytes >> 2) + CLIENT.identityId] ?? 0)
    const initial = this.#value(word(CLIENT_SECTION.initialId))
    const parameters = this.#value(word(CLIENT_SECTION.parametersId))
    if (identity === null || initial === null || parameters === null) return null
    const { user, database, credential } = identity as { user: string; database: string; credential: EncodedCredential }
    const spills = this.#adoptSpills(at)
    const names =
      spills.statements.handle !== 0 ? parse(spills.statements) : this.#value(word(CLIENT_SECTION.statementsId))
    const extra = spills.extra.handle === 0 ? null : (parse(spills.extra) as Extra)
    return {
      serial: i32[slot * (recordBytes >> 2) + CLIENT.serial] ?? 0,
      user,
      database,
      credential: decodeCredential(credential),
      state: CLIENT_STATE_NAMES[word(SECTION.state)] ?? 'free',
      flags: word(SECTION.flags),
      body: word(SECTION.body),
      pins: word(CLIENT_SECTION.pins),
      endsAfter: word(CLIENT_SECTION.endsAfter),
      serverSlot: word(SECTION.peer) - 1,
      initial: this.#parameters.of(initial as [string, string][]),
      parameters: this.#parameters.of(parameters as [string, string][]),
      statements: ((names ?? []) as [string, number, number][]).map(([name, id, stored]) => [
        name,
        this.#find([id, stored]),
      ]),
      unnamed: spills.unnamed.handle === 0 ? null : Buffer.from(spills.unnamed.data),
      changes: this.#readChanges(extra, word(CLIENT_SECTION.unnamedChanges)),
      deallocating: extra?.deallocating ? [extra.deallocating[0], this.#find(extra.deallocating[1])] : null,
      settings: extra?.state ?? null,
      refused: extra?.refused ?? null,
      listening: extra?.listening ?? null,
      doubt: extra?.doubt ?? null,
      spills,
    }
  }

  #readChanges(extra: Extra | null, ofUnnamed: number): readonly StatementChange[] {
    if (ofUnnamed > 0) return new Array<StatementChange>(ofUnnamed).fill(UNNAMED)
    return (extra?.changes ?? []).map((change) => ({
      ...change,
      meant: change.meant === null ? null : this.#find(change.meant),
      statement: change.statement === null ? null : this.#find(change.statement),
    }))
  }

  #adoptSpills(at: number): SessionSpills {
    const { i32 } = this.#clients
    const spills = this.#newSpills()
    const adopt = (spill: Spill, handle: number, bytes: number): void =>
      spill.adopt(i32[at + handle] as number, i32[at + bytes] as number)
    adopt(spills.extra, SECTION.extraHandle, SECTION.extraBytes)
    adopt(spills.statements, CLIENT_SECTION.statementsHandle, CLIENT_SECTION.statementsBytes)
    adopt(spills.unnamed, CLIENT_SECTION.unnamedHandle, CLIENT_SECTION.unnamedBytes)
    return spills
  }

  #find([id, storedAs]: StatementReference): PreparedStatement {
    const tail = this.#store.get(storedAs)
    if (tail === null) return this.#statements.restoreLong(id)
    const statement = this.#statements.restore(id, tail)
    statement.storedAs = storedAs
    return statement
  }

  #value(id: number): unknown {
    const bytes = this.#store.get(id)
    return bytes === null ? null : JSON.parse(bytes.toString('utf8'))
  }
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
const parse = (spill: Spill): unknown => JSON.parse(spill.data.toString('utf8'))
