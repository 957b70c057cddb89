import pg from 'pg'
import type { Config } from '../../config/schema.ts'
import { POSITION_QUESTION, type PositionRow, readPosition, type WalPosition } from '../monitor/wal-position.ts'
import { serverTlsValue, shardTls } from '../shard-tls.ts'

/** What a server says of itself. */
export interface ServerAnswer {
  /** Of its cluster: primary and replicas have the same. Null: it does not say so to this role. */
  readonly identifier: string | null
  /** Null: it does not know. */
  readonly position: WalPosition | null
}

/** Connects to a server as the monitor does, and asks it once. Rejects when it does not answer. */
export async function askServer(
  place: { readonly host: string; readonly port: number },
  config: Config,
): Promise<ServerAnswer> {
  const tls = serverTlsValue(config.serverTls)
  try {
    return await ask(place, config, shardTls(tls, place.host))
  } catch (error) {
    const isRefusal = error instanceof Error && error.message === 'The server does not support SSL connections'
    if (!isRefusal || tls.mode !== 'prefer') throw error
    return await ask(place, config, false)
  }
}

async function ask(
  { host, port }: { readonly host: string; readonly port: number },
  { monitor }: Config,
  ssl: ReturnType<typeof shardTls>,
): Promise<ServerAnswer> {
  const client = new pg.Client({
    host,
    port,
    user: monitor.user,
    password: () => monitor.password ?? '',
    database: monitor.database,
    ssl,
    application_name: 'switchyard scaling',
    connectionTimeoutMillis: monitor.timeoutMs,
    query_timeout: monitor.timeoutMs,
  })
  // A lost connection fails the question; without a listener it would end the process.
  client.on('error', () => {})
  try {
    await client.connect()
    const { rows } = await client.query<PositionRow>(POSITION_QUESTION)
    const [row] = rows
    return { identifier: await identifierOf(client), position: row === undefined ? null : readPosition(row) }
  } finally {
    client.end().catch(() => undefined)
  }
}

async function identifierOf(client: pg.Client): Promise<string | null> {
  try {
    const { rows } = await client.query<{ id: string }>(
      'select system_identifier::text as id from pg_catalog.pg_control_system()',
    )
    return rows[0]?.id ?? null
  } catch (error) {
    if (error instanceof pg.DatabaseError) return null
    throw error
  }
}
