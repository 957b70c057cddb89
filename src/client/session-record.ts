import type { Luggage } from '../continuity/safe-point.ts'
import type { BufferArena } from '../io/buffer-arena.ts'
import { Spill } from '../io/spill.ts'
import type { ClientState } from '../memory/client-slots.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { PreparedStatement, StatementReference } from '../session/prepared-statements.ts'
import type { PinsSnapshot } from '../session/session-pins.ts'
import type { DoubtSnapshot } from './commit-doubt.ts'
import type { DeferredBegin } from './deferred-begin.ts'
import type { ReplaySnapshot } from './kept-replay.ts'
import type { LoginTranscript } from './login-transcript.ts'
import type { RefusalsSnapshot } from './refusals.ts'
import type { ListeningSnapshot } from './session-listening.ts'
import type { SettingsSnapshot } from './session-settings.ts'
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

/** What a session's state is besides numbers: why it is pinned, what is known of its settings, a transaction that has only begun. */
export interface StateSnapshot {
  readonly pins: PinsSnapshot | null
  readonly settings: SettingsSnapshot | null
  readonly begin: DeferredBegin | null
  /** Rarely there. */
  readonly luggage?: Luggage
}

/** What a section has no numbers for; rarely there. */
export interface SessionExtra {
  readonly state: StateSnapshot | null
  readonly refused: RefusalsSnapshot | null
  readonly changes: readonly SavedChange[]
  readonly deallocating: readonly [string, StatementReference] | null
  readonly listening: ListeningSnapshot | null
  readonly doubt: DoubtSnapshot | null
  /** Not there in what older versions have written. */
  readonly replay?: ReplaySnapshot | null
}

/** A login that is not over. */
export interface LoginRecord {
  readonly transcript: LoginTranscript
  readonly spills: SessionSpills | null
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
  readonly replay: ReplaySnapshot | null
  readonly spills: SessionSpills | null
}

/** Without any buffer yet. */
export function noSpills(arena: BufferArena): SessionSpills {
  const spill = (): Spill => new Spill(arena)
  return { extra: spill(), statements: spill(), unnamed: spill(), statementsVersion: -1, unnamedVersion: -1 }
}
