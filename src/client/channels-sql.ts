import type { Rows } from '../server/captured-rows.ts'
import { quoteIdentifier } from '../sql/server-identifier.ts'

/** Asks a server connection what it listens to. In hexadecimal UTF-8, so that the client_encoding of the moment is of no importance. */
export const CHANNELS_SQL =
  "SELECT pg_catalog.encode(pg_catalog.convert_to(c,'UTF8'),'hex') FROM pg_catalog.pg_listening_channels() c"

/** What it has answered. */
export function channelsOf(rows: Rows): string[] {
  return rows.map(([hex]) => Buffer.from(hex ?? '', 'hex').toString('utf8'))
}

/** Tells it what to listen to; empty for nothing. */
export function listenSql(channels: ReadonlySet<string>): string {
  return [...channels].map((channel) => `LISTEN ${quoteIdentifier(channel)}`).join(';')
}
