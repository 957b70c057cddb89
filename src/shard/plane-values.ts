import type { Policy } from './policy.ts'
import type { Tier } from './tier.ts'
import type { Topology } from './topology.ts'

export type PoolMode = 'transaction' | 'session'

/** RFC 5803 verifier, base64 members: what PostgreSQL stores in `pg_authid.rolpassword`. */
export interface ScramVerifier {
  readonly kind: 'scram-sha-256'
  readonly iterations: number
  readonly salt: string
  readonly storedKey: string
  readonly serverKey: string
}

/** `md5` + hex(md5(password + user)), as PostgreSQL stores it. */
export interface Md5Verifier {
  readonly kind: 'md5'
  readonly hash: string
}

export type Verifier = ScramVerifier | Md5Verifier

export type ConsoleAccess = 'none' | 'stats' | 'admin'

export interface UserValue {
  readonly name: string
  /** Null: this user cannot log in with a password here (certificate or trust only). */
  readonly verifier: Verifier | null
  /** Clear-text password, where the operator gave one: used towards shards and for md5 and cleartext clients. */
  readonly password: string | null
  readonly console: ConsoleAccess
  readonly poolMode: PoolMode | null
  readonly poolSize: number | null
  readonly maxClients: number | null
}

export interface DatabaseValue {
  /** What clients ask for; `*` answers for every name that has no entry of its own. */
  readonly name: string
  readonly group: string
  /** On which of the group's shards everything runs that is not routed otherwise. */
  readonly role: 'primary' | 'replica'
  /** The database on the shards; null: the name the client asked for. */
  readonly serverDatabase: string | null
  /** Log in to the shards as this user instead of the client's. */
  readonly serverUser: string | null
  readonly serverPassword: string | null
  readonly poolMode: PoolMode | null
  readonly poolSize: number | null
  readonly minPoolSize: number | null
  readonly maxClients: number | null
}

export type HbaMethod = 'scram-sha-256' | 'md5' | 'password' | 'cert' | 'trust' | 'reject'

/** One line of the access rules, first match wins, as in `pg_hba.conf`. */
export interface HbaRule {
  readonly type: 'local' | 'host' | 'hostssl' | 'hostnossl'
  /** Names, or `all`, `sameuser`. */
  readonly databases: readonly string[]
  /** Names, or `all`. */
  readonly users: readonly string[]
  /** CIDR blocks, or `all`. Ignored for `local`. */
  readonly addresses: readonly string[]
  readonly method: HbaMethod
  /** For diagnostics: "hba rule 3". */
  readonly line: number
}

export type ClientTlsMode = 'disable' | 'allow' | 'require' | 'verify-ca' | 'verify-full'
export type ServerTlsMode = 'disable' | 'prefer' | 'require' | 'verify-ca' | 'verify-full'

/** `keep`: keys are where a successor of the plane finds them. */
export type OnUpgrade = 'keep' | 'disconnect'

/** PEM texts, not paths: read and checked by the control process, so that a plane never touches a file. */
export interface ClientTlsValue {
  readonly mode: ClientTlsMode
  readonly certificate: string | null
  readonly key: string | null
  readonly ca: string | null
  readonly minVersion: 'TLSv1.2' | 'TLSv1.3'
  readonly onUpgrade: OnUpgrade
}

export interface ServerTlsValue {
  readonly mode: ServerTlsMode
  readonly certificate: string | null
  readonly key: string | null
  readonly ca: string | null
  readonly onUpgrade: OnUpgrade
}

/** Durations in milliseconds; 0 switches a limit off. */
export interface TimeoutValues {
  readonly clientLoginMs: number
  readonly clientIdleMs: number
  readonly idleTransactionMs: number
  readonly queryMs: number
  readonly queryWaitMs: number
  readonly serverConnectMs: number
  readonly serverLoginRetryMs: number
  readonly serverIdleMs: number
  readonly serverLifetimeMs: number
  readonly serverCheckMs: number
  readonly cancelMs: number
  readonly drainMs: number
}

export interface LimitValues {
  readonly maxClients: number
  readonly maxClientsPerUser: number
  readonly maxClientsPerDatabase: number
  readonly startupPacketBytes: number
  readonly startupParameters: number
  readonly preparedStatements: number
  /** Of notifications that wait for one client. */
  readonly notificationBytes: number
}

export interface PoolDefaults {
  readonly mode: PoolMode
  readonly size: number
  readonly minSize: number
  /** Per user over all pools; 0 = unlimited. */
  readonly maxUserConnections: number
  /** Per database over all users; 0 = unlimited. */
  readonly maxDatabaseConnections: number
  /** What becomes of clients that listen when notifications may have been lost. */
  readonly lostNotifications: 'warn' | 'close'
}

/** What one request may use before its client counts as a runaway; 0: as much as it likes. */
export interface RunawayValues {
  readonly elapsedMs: number
  readonly rows: number
  readonly bytes: number
  /** `dryrun`: count and log it. `demote`: `tier` from the next transaction on, until nothing was wrong for `cooldownMs`. */
  readonly action: 'dryrun' | 'demote'
  readonly tier: Tier
  readonly cooldownMs: number
}

export interface AnalyzerValues {
  /** `off`: rules and hints only. `shadow`: the model speaks, and nothing follows from it. */
  readonly mode: 'off' | 'shadow' | 'enforce'
  readonly defaultTier: Tier
  readonly hints: boolean
  /** Users whose hints may raise a connection. */
  readonly raisingUsers: readonly string[]
  /** Queries after which the model may speak of an identity that it was not trained with. */
  readonly evidenceQueries: number
  readonly runaway: RunawayValues
  /** Part of the connections of which history is kept. */
  readonly historySample: number
}

/**
 * Everything a plane needs from configuration, frozen, replaced as a whole. Compiled by `control/policy`;
 * the plane never reads the configuration itself.
 */
export interface PlaneValues {
  readonly version: number
  readonly limits: LimitValues
  readonly timeouts: TimeoutValues
  readonly pool: PoolDefaults
  readonly databases: readonly DatabaseValue[]
  readonly users: readonly UserValue[]
  readonly hba: readonly HbaRule[]
  /** For what stands in for users that do not exist: 32 bytes in base64, unknown to anybody, the same after a restart. */
  readonly mockSecret: string
  /** Whether the control process can look up users that are not listed. */
  readonly authQuery: boolean
  readonly clientTls: ClientTlsValue
  readonly serverTls: ServerTlsValue
  /** Database names that are the admin console, and the Unix socket where it answers. */
  readonly consoleDatabases: readonly string[]
  readonly consoleSocket: string
  readonly policy: Policy
  readonly analyzer: AnalyzerValues
  readonly topology: Topology
}
