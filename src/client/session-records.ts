import type { BufferArena } from '../io/buffer-arena.ts'
import { CLIENT, CLIENT_SECTION, CLIENT_STEP, type ClientState, clientStateCode } from '../memory/client-slots.ts'
import type { Region } from '../memory/region.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { ValueStore } from '../memory/value-store.ts'
import { encodeCredential } from '../server/credential-codec.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { PreparedStatement, SessionStatements, StatementReference } from '../session/prepared-statements.ts'
import type { CommitDoubt } from './commit-doubt.ts'
import {
  isReplaying,
  type ReplayingSession,
  type ReplaySnapshot,
  replayedSettings,
  snapshotReplay,
} from './kept-replay.ts'
import type { LoginTranscript } from './login-transcript.ts'
import type { SessionListening } from './session-listening.ts'
import { noSpills, type SessionExtra, type SessionIdentity, type SessionSpills } from './session-record.ts'
import type { SessionState } from './session-state.ts'

const OF_STATEMENTS = CLIENT_STEP.longUnnamed | CLIENT_STEP.foreignName

/** The session that is recorded. */
export interface RecordedSession extends ReplayingSession {
  readonly state: ClientState
  readonly listening: SessionListening | null
  readonly doubt: CommitDoubt | null
  /** Of a login that is not over and that can be gone on with. */
  readonly greeting: { readonly transcript: LoginTranscript | null } | null
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

  constructor({ store, clients, arena }: { store: ValueStore; clients: Region; arena: BufferArena }) {
    this.#store = store
    this.#clients = clients
    this.#arena = arena
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
    // Of these there is nothing but perhaps a login to go on with.
    if (state === 'closing' || state === 'login') {
      const isWhole = state === 'login' && !isTorn && this.#saveLogin(session)
      i32[at + SECTION.flags] = isWhole ? 0 : CLIENT_STEP.torn
      i32[at + SECTION.peer] = 0
      i32[at + SECTION.extraHandle] = session.spills?.extra.handle ?? 0
      i32[at + SECTION.extraBytes] = session.spills?.extra.bytes ?? 0
      i32[at + CLIENT_SECTION.statementsHandle] = 0
      i32[at + CLIENT_SECTION.unnamedHandle] = 0
      return
    }
    if (isReplaying(session)) {
      this.#saveReplay(session, at, isTorn)
      return
    }
    i32[at + SECTION.body] = requests.bodyRemaining
    i32[at + SECTION.peer] = server === null ? 0 : server.slot + 1
    i32[at + CLIENT_SECTION.pins] = settings.pins
    i32[at + CLIENT_SECTION.endsAfter] = server === null ? 0 : settings.transaction.endsAfter(server.queue)
    const isWhole =
      this.#saveSettings(settings, settings.parameters, at) &&
      (isPlain(session)
        ? this.#savePlain(at)
        : this.#saveNames(session, at) && this.#saveUnnamed(session, at) && this.#saveExtra(session, at))
    i32[at + SECTION.flags] =
      (isTorn ? CLIENT_STEP.torn : 0) |
      (isWhole ? 0 : CLIENT_STEP.unsaved) |
      session.stepFlags |
      settings.stepFlags |
      requests.stepFlags
  }

  /** As if its server connection were lost at this moment: another one gets what was sent to it. */
  #saveReplay(session: RecordedSession, at: number, isTorn: boolean): void {
    const { i32 } = this.#clients
    const { settings, requests } = session
    const replay = isTorn ? null : snapshotReplay(session)
    i32[at + SECTION.body] = 0
    i32[at + SECTION.peer] = 0
    i32[at + CLIENT_SECTION.pins] = settings.pins
    i32[at + CLIENT_SECTION.endsAfter] = 0
    const isWhole =
      this.#saveSettings(settings, replayedSettings(session), at) &&
      this.#saveNames(session, at) &&
      this.#saveUnnamed(session, at) &&
      this.#saveExtra(session, at, replay)
    const known = (session.stepFlags & CLIENT_STEP.peerEnded) | (requests.stepFlags & OF_STATEMENTS)
    i32[at + SECTION.flags] = CLIENT_STEP.torn | (isWhole && replay !== null ? CLIENT_STEP.replaying | known : 0)
  }

  #saveLogin(session: RecordedSession): boolean {
    const transcript = session.greeting?.transcript ?? null
    return transcript !== null && this.#spillsOf(session).extra.put(transcript.encode())
  }

  /** The session is over, or its login is. */
  release({ spills }: RecordedSession): void {
    if (spills === null) return
    spills.extra.clear()
    spills.statements.clear()
    spills.unnamed.clear()
  }

  #saveSettings({ values: { initial } }: SessionState, parameters: ParameterSet | null, at: number): boolean {
    const { i32 } = this.#clients
    if (initial === null || parameters === null) return false
    i32[at + CLIENT_SECTION.initialId] = this.#storeSet(initial)
    i32[at + CLIENT_SECTION.parametersId] = this.#storeSet(parameters)
    return initial.storedAs !== 0 && parameters.storedAs !== 0
  }

  #storeSet(set: ParameterSet): number {
    if (!this.#store.has(set)) {
      set.storedAs = this.#store.put(json([...set.values]))
      set.storedIn = this.#store.epoch
    }
    return set.storedAs
  }

  /** It has nothing but its settings, as most sessions in simple queries. */
  #savePlain(at: number): true {
    const { i32 } = this.#clients
    i32[at + CLIENT_SECTION.statementsId] = 0
    i32[at + CLIENT_SECTION.statementsHandle] = 0
    i32[at + CLIENT_SECTION.statementsBytes] = 0
    i32[at + CLIENT_SECTION.unnamedHandle] = 0
    i32[at + CLIENT_SECTION.unnamedBytes] = 0
    i32[at + CLIENT_SECTION.unnamedChanges] = 0
    i32[at + SECTION.extraHandle] = 0
    i32[at + SECTION.extraBytes] = 0
    return true
  }

  /** Names that have changed are shared with other sessions when this one has come to rest. */
  #saveNames(session: RecordedSession, at: number): boolean {
    const { i32 } = this.#clients
    const named = session.requests.statements?.book.named ?? null
    let id = 0
    let isWhole = true
    if (named === null || named.size === 0) session.spills?.statements.clear()
    else {
      if (!this.#store.has(named) && session.state === 'idle') {
        named.storedAs = this.#store.put(this.#encodeNames(named)) || -1
        named.storedIn = this.#store.epoch
      }
      if (this.#store.has(named)) {
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
    if (!statement.isLong && !this.#store.has(statement)) {
      statement.storedAs = this.#store.put(statement.tail)
      statement.storedIn = this.#store.epoch
    }
    return [statement.id, statement.storedAs]
  }

  #saveUnnamed(session: RecordedSession, at: number): boolean {
    const { i32 } = this.#clients
    const book = session.requests.statements?.book
    const unnamed = book?.unnamed.tail ?? null
    let isWhole = true
    if (book === undefined || unnamed === null) session.spills?.unnamed.clear()
    else {
      const spills = this.#spillsOf(session)
      if (spills.unnamed.handle === 0 || spills.unnamedVersion !== book.unnamed.version) {
        spills.unnamedVersion = book.unnamed.version
        isWhole = spills.unnamed.put(unnamed)
      }
    }
    i32[at + CLIENT_SECTION.unnamedHandle] = session.spills?.unnamed.handle ?? 0
    i32[at + CLIENT_SECTION.unnamedBytes] = session.spills?.unnamed.bytes ?? 0
    return isWhole
  }

  #saveExtra(session: RecordedSession, at: number, replay: ReplaySnapshot | null = null): boolean {
    const { i32 } = this.#clients
    const extra = replay === null ? this.#extraOf(session) : { ...this.#compose(session), replay }
    i32[at + CLIENT_SECTION.unnamedChanges] = session.requests.statements?.book.unconfirmedUnnamed ?? 0
    let isWhole = true
    if (extra === null) session.spills?.extra.clear()
    else isWhole = this.#spillsOf(session).extra.put(json(extra))
    i32[at + SECTION.extraHandle] = session.spills?.extra.handle ?? 0
    i32[at + SECTION.extraBytes] = session.spills?.extra.bytes ?? 0
    return isWhole
  }

  #extraOf(session: RecordedSession): SessionExtra | null {
    const { settings, requests, listening, doubt } = session
    const { refused, statements } = requests
    const isUsual = settings.snapshot === null && refused === null && (statements?.book.unconfirmed ?? null) === null
    const isQuiet = (statements?.inSql?.deallocating ?? null) === null && (listening?.snapshot ?? null) === null
    return isUsual && isQuiet && doubt === null ? null : this.#compose(session)
  }

  /** Apart from `#extraOf`, which would make room for what the arrows refer to with each call. */
  #compose({ settings, requests, listening, doubt }: RecordedSession): SessionExtra {
    const { refused, statements } = requests
    const state = settings.snapshot
    const unconfirmed = statements?.book.unconfirmed ?? null
    const deallocating = statements?.inSql?.deallocating ?? null
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
      listening: listening?.snapshot ?? null,
      doubt: doubt?.snapshot ?? null,
    }
  }

  #spillsOf(session: RecordedSession): SessionSpills {
    session.spills ??= noSpills(this.#arena)
    return session.spills
  }
}

/** There is nothing to write down but numbers. */
function isPlain({ spills, requests, settings, listening, doubt }: RecordedSession): boolean {
  return (
    (spills === null || isEmpty(spills)) &&
    requests.statements === null &&
    listening === null &&
    doubt === null &&
    requests.refused === null &&
    settings.snapshot === null
  )
}

function isEmpty({ extra, statements, unnamed }: SessionSpills): boolean {
  return extra.handle === 0 && statements.handle === 0 && unnamed.handle === 0
}

const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value))
