import type { ErrorFields } from '../protocol/messages.ts'
import { ServerConnection } from './server-connection.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { ServerOwner } from './server-owner.ts'
import type { ServerTarget } from './server-target.ts'

/**
 * A server connection that is one client's for life and in no pool: walsenders, the admin console. `ready` is called once
 * when it has logged in, or `failed`. Whoever has it closes it.
 */
export class DedicatedServer implements ServerOwner {
  readonly kind: ServerKind = { kind: 'dedicated' }
  readonly #host: ServerHost
  readonly #target: ServerTarget
  readonly #ready: (server: ServerConnection) => void
  readonly #failed: (fields: ErrorFields) => void
  #server: ServerConnection | null = null
  #given = false
  #abandoned = false

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
  }

  open(): void {
    const slot = this.#host.takeServerSlot()
    if (slot < 0) {
      this.#failed({ severity: 'FATAL', sqlstate: '53300', message: 'no server connection slot is free' })
      return
    }
    try {
      this.#server = new ServerConnection(this.#host, this, this.#target, slot, -1)
    } catch (error) {
      this.#host.freeServerSlot(slot)
      this.#failed({
        severity: 'FATAL',
        sqlstate: '08001',
        message: error instanceof Error ? error.message : String(error),
      })
    }
  }

  /** Nobody waits for it any more; what was given away is not touched. */
  abandon(): void {
    this.#abandoned = true
    if (!this.#given) this.#server?.close('its client is gone')
  }

  onServerReady(server: ServerConnection): void {
    // Ready a second time means that its client let go of it.
    if (this.#abandoned || this.#given) server.close('its client is gone')
    else {
      this.#given = true
      this.#ready(server)
    }
  }

  onServerClosed(_server: ServerConnection, reason: string, login: ErrorFields | null): void {
    if (this.#given || this.#abandoned) return
    this.#failed(login ?? { severity: 'FATAL', sqlstate: '08006', message: reason })
  }
}
