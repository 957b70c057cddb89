import { chmod, unlink } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import type { ReportContext } from './command.ts'
import { type CancelKey, ConsoleConnection } from './console-connection.ts'
import type { Audit } from './console-session.ts'

/** Far more than people at consoles; a loop that forgets to close is told. */
const MAX_CONNECTIONS = 100
const LOGIN_TIMEOUT_MS = 10_000

export interface ConsoleServerOptions {
  readonly report: ReportContext
  /** So many random bytes: the secret half of a cancel key. */
  readonly randomBytes: (count: number) => Buffer
  readonly audit: Audit
  /** Called with exceptions that are bugs in the console. */
  readonly failed: (error: unknown) => void
  /** How long a connection may take to log in; 10 s when not given. */
  readonly loginTimeoutMs?: number
}

/**
 * The admin console: a small PostgreSQL server on a Unix socket that only data planes can reach. They have
 * authenticated the user and say so in the startup packet, therefore nobody else may have access to the directory.
 */
export class ConsoleServer {
  readonly #options: ConsoleServerOptions
  readonly #server: Server
  readonly #connections = new Set<ConsoleConnection>()
  #served = 0

  constructor(options: ConsoleServerOptions) {
    this.#options = options
    this.#server = createServer({ pauseOnConnect: true }, (socket) => this.#accept(socket))
  }

  /** Takes the place of a socket file that an earlier process left. Rejects when the path cannot be bound. */
  async listen(path: string): Promise<void> {
    await unlink(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
    })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, () => {
        this.#server.off('error', reject)
        this.#server.on('error', this.#options.failed)
        resolve()
      })
    })
    await chmod(path, 0o600)
  }

  /** Tells every client and closes; settles when all sockets and the file are gone. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    for (const connection of this.#connections) connection.end('57P01', 'The admin console is shutting down.')
    await closed
  }

  #accept(socket: Socket): void {
    const connection = new ConsoleConnection({
      socket,
      report: this.#options.report,
      key: { processId: ++this.#served & 0x7fffffff, secret: this.#options.randomBytes(4) },
      audit: this.#options.audit,
      loginTimeoutMs: this.#options.loginTimeoutMs ?? LOGIN_TIMEOUT_MS,
      cancel: (key) => this.#cancel(key),
      failed: this.#options.failed,
    })
    this.#connections.add(connection)
    void connection.serve().then(() => this.#connections.delete(connection))
    if (this.#connections.size > MAX_CONNECTIONS) {
      connection.end('53300', `The admin console has ${MAX_CONNECTIONS} connections already; close some.`)
    }
  }

  /** PostgreSQL never says whether a key was right, and neither does this. */
  #cancel({ processId, secret }: CancelKey): void {
    for (const connection of this.#connections) {
      if (connection.key.processId === processId && connection.key.secret.equals(secret)) connection.cancel()
    }
  }
}
