import type { ErrorFields } from '../protocol/messages.ts'
import { DedicatedServer } from '../server/dedicated-server.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ServerHost } from '../server/server-host.ts'
import type { ServerTarget } from '../server/server-target.ts'
import { Timer } from '../util/timer-wheel.ts'
import { FATAL } from './client-host.ts'

/** A control process that follows another one is there after about a second; on a busy machine it takes several. */
const PATIENCE_MS = 10_000
const RETRY_MS = 100
const AWAY_HINT = 'the control process is being replaced, or does not start; try again in a moment, the log says why'

/** Of the dial, of the connection while it logs in, and of a console that closes: nobody is there, for now. */
const AWAY: ReadonlySet<string> = new Set(['08001', '08006', '57P01'])

/**
 * A client's connection to the admin console, dialled again for up to 10 s while control is away. `ready` is called once when it
 * has logged in, or `failed`. Whoever has it closes it.
 */
export class ConsoleEntry {
  readonly #host: ServerHost
  readonly #target: ServerTarget
  readonly #ready: (server: ServerConnection) => void
  readonly #failed: (fields: ErrorFields) => void
  readonly #until: number
  readonly #again = new Timer(() => this.open())
  #attempt: DedicatedServer | null = null

  constructor(
    host: ServerHost,
    target: ServerTarget,
    ready: (server: ServerConnection) => void,
    failed: (fields: ErrorFields) => void,
  ) {
    this.#host = host
    this.#target = target
    this.#ready = ready
    this.#failed = failed
    this.#until = host.now + PATIENCE_MS
  }

  open(): void {
    this.#attempt = new DedicatedServer(this.#host, this.#target, this.#ready, (fields) => this.#onFailed(fields))
    this.#attempt.open()
  }

  /** Nobody waits for it any more; what was given away is not touched. */
  abandon(): void {
    this.#host.timers.disarm(this.#again)
    this.#attempt?.abandon()
  }

  #onFailed(fields: ErrorFields): void {
    if (!AWAY.has(fields.sqlstate)) this.#failed(fields)
    else if (this.#host.now < this.#until) this.#host.timers.arm(this.#again, this.#host.now + RETRY_MS)
    else this.#failed(FATAL('57P03', 'the admin console is away at the moment', AWAY_HINT))
  }
}
