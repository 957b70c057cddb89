import type { LoginRecord, SessionRecord } from '../client/session-record.ts'
import type { ClientOutcome } from '../continuity/report.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import type { NewClient } from '../memory/keeper-protocol.ts'
import type { RestingClient } from './resting-clients.ts'

/** What became of the connections of a plane that died. */
export interface AdoptionReport {
  readonly servers: number
  /** Those that are gone on with. */
  readonly keptServers: number
  /** How many server connections could not be kept, by the reason. */
  readonly serverReasons: Readonly<Record<string, number>>
  /** Of every client. */
  readonly outcomes: readonly ClientOutcome[]
}

/** A client to go on with. */
export interface AdoptedClient {
  readonly client: NewClient
  readonly fd: OwnedFd
  readonly record: SessionRecord
}

/** A client whose login goes on. */
export interface AdoptedLogin {
  readonly client: NewClient
  readonly fd: OwnedFd
  readonly login: LoginRecord
}

/** A server connection to go on with. */
export interface AdoptedServer {
  readonly slot: number
  readonly fd: OwnedFd
  /** First i32 of its section. */
  readonly section: number
}

/** What there is to go on with. */
export interface Adopted {
  readonly clients: readonly AdoptedClient[]
  readonly logins: readonly AdoptedLogin[]
  /** Those whose sessions need not begin at once. */
  readonly resting: readonly RestingClient[]
  readonly servers: readonly AdoptedServer[]
}
