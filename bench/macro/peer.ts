/**
 * What pgbench is told to do: `-S` in one of the three query protocols, as fast as it can; `-S` at a fixed rate that saturates
 * nothing, to see latency that is not queueing; or the TPC-B-like script over simple queries.
 */
export type Mode = 'simple' | 'paced' | 'extended' | 'prepared' | 'tpcb'
export const modes: readonly Mode[] = ['simple', 'paced', 'extended', 'prepared', 'tpcb']

/** `before`: the Switchyard of another checkout, beside this one. */
export type PeerName = 'direct' | 'pgbouncer' | 'before' | 'switchyard'
export const peerNames: readonly PeerName[] = ['direct', 'pgbouncer', 'before', 'switchyard']

export type Pooling = 'none' | 'transaction' | 'session'

/** Where and as whom to connect. */
export interface Address {
  readonly host: string
  readonly port: number
  readonly database: string
  readonly user: string
  readonly password: string
}

/** One of the things that are compared: something that speaks PostgreSQL's protocol at an address. */
export interface Peer {
  readonly name: PeerName
  readonly version: string
  /** The address to use for a mode: one database with, one without the pooling that the mode needs. */
  address(mode: Mode): Address
  /** How server connections are shared in that mode. */
  pooling(mode: Mode): Pooling
  /** The processes that stand between client and PostgreSQL; empty for `direct`. */
  processes(): number[]
  /** Ends all its processes; resolves once they are gone. */
  stop(): Promise<void>
}

/** Server connections each proxy may open: PgBouncer's own default. */
export const poolSize = 20

/** The role and database that every benchmark uses. */
export const benchName = 'bench'
