import pg from 'pg'

/** Where a server is and who asks. */
export interface ServerAddress {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly password: string
}

/** A server that replicas follow. */
export interface PrimaryAddress extends ServerAddress {
  /** Major version of its PostgreSQL, and so of its replicas'. */
  readonly major: number
}

/**
 * A connected client for Switchyard's own queries on one server. The caller ends it.
 *
 * @param mode `replication`: a walsender, which takes the commands of the replication protocol
 * @throws what `pg` throws: DatabaseError with the server's SQLSTATE in `code`, or a system error
 */
export async function connectToServer(
  address: ServerAddress,
  mode: 'queries' | 'replication' = 'queries',
): Promise<pg.Client> {
  const config = {
    host: address.host,
    port: address.port,
    user: address.user,
    password: address.password,
    database: 'postgres',
    ssl: false,
    application_name: 'switchyard',
    connectionTimeoutMillis: 5000,
    // Given always, so that PGOPTIONS of the caller's environment never gets a say.
    options: '-c search_path=pg_catalog',
    ...(mode === 'replication' ? { replication: 'true' } : { query_timeout: 30_000 }),
  }
  const client = new pg.Client(config)
  // A lost connection fails the query that runs, or the next one; without a listener it would end the process.
  client.on('error', () => {})
  await client.connect()
  return client
}

/** Connects, runs `work` and disconnects, whatever happens. */
export async function withServer<T>(address: ServerAddress, work: (client: pg.Client) => Promise<T>): Promise<T> {
  const client = await connectToServer(address)
  try {
    return await work(client)
  } finally {
    await client.end()
  }
}
