import { Socket } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import pg from 'pg'
import type { AuthQueryRows } from './auth-query-answer.ts'

/** Where the primary is that is asked. */
export interface AuthQueryEndpoint {
  readonly host: string
  readonly port: number
}

/** What is asked, as whom and where. */
export interface AuthQueryConnectionOptions {
  /** With the user name as its one parameter, `$1`. */
  readonly query: string
  readonly user: string
  readonly password: string | null
  readonly database: string
  readonly tls: ConnectionOptions | false
  /** The primary now, or null while there is none. Asked before each query. */
  readonly endpoint: () => AuthQueryEndpoint | null
  /** For connecting, and for the query, each. */
  readonly timeoutMs: number
  /** A clock in milliseconds that never goes back. */
  readonly now: () => number
}

/** Why the query could not be asked; `message` is a full sentence for the log. */
export class AuthQueryError extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'AuthQueryError'
  }
}

interface OpenConnection {
  readonly client: pg.Client
  readonly socket: Socket
  readonly endpoint: AuthQueryEndpoint
}

const firstBackoffMs = 100
const longestBackoffMs = 5000
const farewellMs = 1000

/**
 * One connection to the primary on which the authentication query runs, one user at a time. It is opened when first
 * needed, replaced when the primary moves or the connection breaks, and after a failed attempt not tried again for a
 * while (100 ms, doubled up to 5 s).
 *
 * What it sends is the configured query, with the user's name as a parameter and nothing else of the client, on a
 * connection whose `search_path` is `pg_catalog`: a client that could choose either would choose what runs with
 * the rights of this role (CVE-2025-12819).
 */
export class AuthQueryConnection {
  readonly #options: AuthQueryConnectionOptions
  /** Null before the first query, and from when a connection broke until the next query. */
  #open: OpenConnection | null = null
  /** Of the attempt under way. */
  #connecting: Socket | null = null
  #isClosed = false
  /** Attempts that failed since the last one that did not, all of them to `#failed.endpoint`. */
  #failed = { endpoint: '', attempts: 0, retryAt: 0, reason: '' }

  constructor(options: AuthQueryConnectionOptions) {
    this.#options = options
  }

  /**
   * Runs the query for `user`. Not to be called again before the promise has settled.
   * @throws AuthQueryError
   */
  async ask(user: string): Promise<AuthQueryRows> {
    const reused = this.#open
    try {
      return await this.#run(user)
    } catch (error) {
      if (error instanceof AuthQueryError) throw error
      // The connection broke while it lay idle, which the query was the first to notice: that is no answer yet.
      if (reused === null || this.#open === reused || isTimeout(error)) throw failedQuery(error)
    }
    try {
      return await this.#run(user)
    } catch (error) {
      throw error instanceof AuthQueryError ? error : failedQuery(error)
    }
  }

  /** Ends the connection; a query under way fails. Resolves when the socket is closed. */
  async close(): Promise<void> {
    this.#isClosed = true
    // With an error, because pg settles an attempt to connect only for an end that nobody asked for.
    this.#connecting?.destroy(new Error('the authentication query was closed'))
    const open = this.#open
    this.#open = null
    if (open !== null) await endGently(open)
  }

  async #run(user: string): Promise<AuthQueryRows> {
    const open = await this.#connected()
    try {
      const result = await open.client.query<(string | null)[]>({
        text: this.#options.query,
        values: [user],
        rowMode: 'array',
        types: { getTypeParser: () => (text: string | Buffer) => text.toString() },
      })
      return { columns: result.fields.map((field) => field.name), rows: result.rows }
    } catch (error) {
      if (!isStatementError(error)) this.#drop(open)
      throw error
    }
  }

  async #connected(): Promise<OpenConnection> {
    if (this.#isClosed) throw new AuthQueryError('The authentication query is not asked any more: it was closed.')
    const endpoint = this.#options.endpoint()
    if (endpoint === null) {
      throw new AuthQueryError('The authentication query cannot be asked: no shard is known to be the primary.')
    }
    if (this.#open !== null) {
      if (nameOf(this.#open.endpoint) === nameOf(endpoint)) return this.#open
      this.#drop(this.#open)
    }
    const waitMs = this.#failed.endpoint === nameOf(endpoint) ? this.#failed.retryAt - this.#options.now() : 0
    if (waitMs > 0) {
      throw new AuthQueryError(`${this.#failed.reason} The next attempt is due in ${Math.ceil(waitMs)} ms.`)
    }
    return await this.#connect(endpoint)
  }

  async #connect(endpoint: AuthQueryEndpoint): Promise<OpenConnection> {
    const socket = new Socket()
    const open = { client: new pg.Client(this.#clientConfig(endpoint, socket)), socket, endpoint }
    // A connection that breaks while idle is forgotten here, and the next query opens another.
    open.client.on('error', () => this.#drop(open))
    open.client.on('end', () => this.#drop(open))
    this.#connecting = socket
    try {
      await open.client.connect()
    } catch (error) {
      socket.destroy()
      throw this.#failedAttempt(endpoint, error)
    } finally {
      this.#connecting = null
    }
    if (socket.destroyed) throw this.#failedAttempt(endpoint, new Error('the server closed the connection'))
    this.#open = open
    this.#failed = { endpoint: '', attempts: 0, retryAt: 0, reason: '' }
    return open
  }

  #clientConfig(endpoint: AuthQueryEndpoint, socket: Socket): pg.ClientConfig {
    const { user, password, database, tls, timeoutMs } = this.#options
    // Every value is given, so that no PG… variable of this process's environment gets a say. A function is also
    // what keeps an absent password from being looked up there.
    return {
      host: endpoint.host,
      port: endpoint.port,
      user,
      password: () => password ?? '',
      database,
      ssl: tls,
      enableChannelBinding: tls !== false,
      stream: () => socket,
      keepAlive: true,
      application_name: 'switchyard auth_query',
      client_encoding: 'UTF8',
      options: '-c search_path=pg_catalog',
      connectionTimeoutMillis: timeoutMs,
      statement_timeout: timeoutMs,
      // Later than the server's own, for a server that does not answer at all.
      query_timeout: timeoutMs + 500,
    }
  }

  #failedAttempt(endpoint: AuthQueryEndpoint, error: unknown): AuthQueryError {
    const name = nameOf(endpoint)
    const attempts = this.#failed.endpoint === name ? this.#failed.attempts + 1 : 1
    const backoffMs = Math.min(firstBackoffMs * 2 ** (attempts - 1), longestBackoffMs)
    const reason = `The authentication query cannot be asked: connecting to ${name} failed: ${messageOf(error)}.`
    this.#failed = { endpoint: name, attempts, retryAt: this.#options.now() + backoffMs, reason }
    return new AuthQueryError(reason, { cause: error })
  }

  #drop(open: OpenConnection): void {
    if (this.#open === open) this.#open = null
    open.socket.destroy()
  }
}

/** Terminate, and the socket's end within a second, however the server feels about it. */
async function endGently({ client, socket }: OpenConnection): Promise<void> {
  const impatience = setTimeout(() => socket.destroy(), farewellMs)
  try {
    await client.end()
  } finally {
    clearTimeout(impatience)
    socket.destroy()
  }
}

/** The server refused the statement and goes on serving the connection. */
function isStatementError(error: unknown): boolean {
  return error instanceof pg.DatabaseError && error.severity === 'ERROR'
}

function isTimeout(error: unknown): boolean {
  return error instanceof Error && error.message === 'Query read timeout'
}

function failedQuery(error: unknown): AuthQueryError {
  const sqlstate = error instanceof pg.DatabaseError ? ` (SQLSTATE ${error.code})` : ''
  return new AuthQueryError(`The authentication query failed: ${messageOf(error)}${sqlstate}.`, { cause: error })
}

function messageOf(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(messageOf).join('; ')
  return error instanceof Error ? error.message : String(error)
}

function nameOf(endpoint: AuthQueryEndpoint): string {
  return `${endpoint.host}:${endpoint.port}`
}
