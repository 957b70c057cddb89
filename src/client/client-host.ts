import type { Analyzer } from '../analyzer/analyzer.ts'
import type { CompiledHba } from '../auth/hba.ts'
import type { MockAccount } from '../auth/mock-account.ts'
import type { Gather } from '../io/gather.ts'
import type { TlsContext } from '../io/tls-context.ts'
import type { Region } from '../memory/region.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { Route } from '../router/route.ts'
import type { RouteTable } from '../router/route-table.ts'
import type { ListenerSet } from '../server/listener-set.ts'
import type { ListenerCounter, ListenerHost } from '../server/notification-listener.ts'
import type { PoolSet } from '../server/pool-set.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { StatementRegistry } from '../session/prepared-statements.ts'
import type { ClientTlsMode, DatabaseValue, PlaneValues, UserValue } from '../shard/plane-values.ts'
import type { TierRule } from '../shard/policy.ts'
import type { Shard } from '../shard/topology.ts'
import type { SecondOpinion } from '../sql/second-opinion.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { ClientSession } from './client-session.ts'
import type { FunctionCatalogues } from './function-catalogues.ts'
import type { PoolChoices } from './pool-choices.ts'
import type { ReadRouting } from './read-routing.ts'
import type { ReplicaWaits } from './replica-waits.ts'
import type { SessionRecords } from './session-records.ts'

/** What the control process found out about a user that the configuration does not list. */
export interface AccountAnswer {
  readonly user: UserValue | null
  /** The lookup itself failed: a sentence for the log. */
  readonly error: string | null
}

/** Who may log in. */
export interface AccountBook {
  /** As listed, else as found by the last lookup. */
  get(name: string): UserValue | null
  /** Of the configuration only, whatever was looked up since. */
  listed(name: string): UserValue | null
  /** What stands in for a user of this name that does not exist. */
  mock(name: string): MockAccount
  /** Asks the control process; `answer` is called later, unless `cancel` was called before. Null: nobody to ask. */
  lookUp(user: string, database: string, answer: (account: AccountAnswer) => void): { cancel(): void } | null
  /** What a lookup found did not let the user in: the next one shall look anew. */
  refused(user: string, database: string): void
}

/** Totals of a plane that are counted as things happen. */
export type PlaneCounter =
  | ListenerCounter
  | 'refused'
  | 'loginFailures'
  | 'protocolErrors'
  | 'internalErrors'
  | 'cancels'
  | 'slowListeners'
  | 'readsRepeated'
  | 'replays'
  | 'replaysRefused'
  | 'replaysFailed'
  | 'commitsConfirmed'
  | 'commitsAborted'
  | 'commitsUnknown'

/** How many clients a plane has. */
export interface LoginCounts {
  /** Sessions of this user, or in this database, that have logged in. */
  count(field: 'user' | 'database', name: string): number
  countLogin(session: ClientSession, delta: 1 | -1): void
}

/** Ways to interrupt what somebody else does. */
export interface BackendSignals {
  /**
   * A cancel request from a client: key as we issued it. `over`: it has hit what it could, or hits nothing. May be called at
   * once.
   */
  cancelByKey(processId: number, key: Buffer, over: () => void): void
  /**
   * The client of `slot` cancels, or ends, the one that was told this process id. False: there is none, or it is another
   * user's.
   */
  signalClient(slot: number, processId: number, terminates: boolean): boolean
  /** Asks the shard to cancel what this server connection does. */
  cancelServer(server: ServerConnection): void
  /** The same for what nobody wants any more; the server connection may be closed at once. */
  cancelAbandoned(server: ServerConnection): void
}

/** What client sessions need of the plane they live in. */
export interface ClientHost extends ListenerHost {
  /** The operator's rule that holds for the client in this slot; null: none does. */
  ruleOf(slot: number): TierRule | null
  readonly clients: Region
  /** TLS sessions of clients, by slot. */
  readonly clientTlsRecords: Region
  /** For requests on their way to servers. */
  readonly toServer: Gather
  readonly facts: StatementFacts
  /** What PostgreSQL's parser says of a statement; null: there is no parser. */
  readonly opinion: SecondOpinion | null
  readonly statements: StatementRegistry
  readonly poolSet: PoolSet
  readonly poolChoices: PoolChoices
  readonly records: SessionRecords
  readonly accounts: AccountBook
  readonly analyzer: Analyzer
  readonly catalogues: FunctionCatalogues
  readonly listeners: ListenerSet
  readonly values: PlaneValues
  readonly hba: CompiledHba
  readonly clientTls: { readonly mode: ClientTlsMode; readonly context: TlsContext | null }
  /** Startup settings that a server has accepted, and what became of them. */
  readonly acceptedSettings: Map<string, ParameterSet>
  /** New clients are refused, but for those of the console. */
  readonly refusing: boolean
  /** Those too, and all others leave when their transaction is over. */
  readonly draining: boolean
  /** Changes with every topology and configuration. */
  readonly epoch: number
  /** The admin console, as a shard. */
  readonly consoleShard: Shard
  readonly sessions: LoginCounts
  readonly signals: BackendSignals
  /** Where reads may run. */
  readonly routes: RouteTable
  readonly readRouting: ReadRouting
  readonly replicaWaits: ReplicaWaits
  /** The entry of its own, else `*`. */
  database(name: string): DatabaseValue | null
  route(group: string): Route
  /** Waits for a topology in which `route` may have an answer. */
  holdForRoute(waiter: PoolWaiter): void
  /** The session is over: its slot may be used again. */
  clientGone(session: ClientSession): void
  countPlane(field: PlaneCounter): void
  /** The client of `slot` ends, because state of its session was on a server connection to this shard that died. */
  clientLost(slot: number, shard: number, reason: string): void
}

export const FATAL = (sqlstate: string, message: string, hint?: string): ErrorFields =>
  hint === undefined ? { severity: 'FATAL', sqlstate, message } : { severity: 'FATAL', sqlstate, message, hint }

export const ERROR = (sqlstate: string, message: string, hint?: string): ErrorFields =>
  hint === undefined ? { severity: 'ERROR', sqlstate, message } : { severity: 'ERROR', sqlstate, message, hint }
