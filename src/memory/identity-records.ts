import type { Region } from './region.ts'

/**
 * What all connections of one identity (user, database, normalised application name, client subnet) did together, one
 * record of `IDENTITY_RECORD_BYTES` each; a plane has a table of its own. Control keeps them over restarts.
 */

/** i32 indexes within a record. */
export const IDENTITY = {
  /** 0: free. */
  used: 0,
  /** Open connections. */
  live: 1,
  /** Tier code + 1 of the last one that was settled; 0: none. */
  lastTier: 2,
  /** Written by control, 0: not known. 1: its user is no superuser, 2: it is one. */
  superuser: 3,
  /** 1 + the roles that its user is a direct member of. */
  memberships: 4,
} as const

/** f64 indexes within a record. Times are monotonic milliseconds. */
export const IDENTITY_F64 = { updatedAt: 8, seenAt: 9, queries: 10, connections: 11 } as const

/** f32 indexes within a record: sums that decay with τ = 1 h. */
export const IDENTITY_SUM = {
  count: 40,
  busyMs: 41,
  logDuration: 42,
  logRows: 43,
  statements: 44,
  writes: 45,
  copies: 46,
  begun: 47,
  ended: 48,
  logQueries: 49,
  logSeconds: 50,
  openMs: 51,
} as const
export const IDENTITY_SUMS = { first: 40, end: 52 } as const

export const IDENTITY_TEXT = {
  user: { offset: 256, capacity: 64 },
  database: { offset: 320, capacity: 64 },
  application: { offset: 384, capacity: 64 },
  subnet: { offset: 448, capacity: 56 },
} as const

/** Whom a record is of. */
export interface IdentityNames {
  readonly user: string
  readonly database: string
  /** Normalised. */
  readonly application: string
  readonly subnet: string
}

/** The names in a record, or null when it is free. */
export function readIdentityNames(region: Region, record: number): IdentityNames | null {
  if (region.i32[record * (region.recordBytes >> 2) + IDENTITY.used] !== 1) return null
  return {
    user: region.readText(record, IDENTITY_TEXT.user.offset),
    database: region.readText(record, IDENTITY_TEXT.database.offset),
    application: region.readText(record, IDENTITY_TEXT.application.offset),
    subnet: region.readText(record, IDENTITY_TEXT.subnet.offset),
  }
}
