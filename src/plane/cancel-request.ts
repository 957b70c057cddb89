import type { Link } from '../io/link.ts'
import type { LinkHost } from '../io/link-host.ts'
import { LINK_EMPTY } from '../io/link-read.ts'
import { SystemError } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { connectResult } from '../io/socket.ts'
import { openUnrecordedLink } from '../io/unrecorded-link.ts'
import { writeCancelRequest } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { dialShard } from '../server/shard-dial.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

const writer = new MessageWriter()

/** What a cancel request needs of the plane that sends it. */
export interface CancelHost extends LinkHost {
  readonly now: number
  readonly timers: TimerWheel
  readonly timeouts: { readonly cancelMs: number }
}

/**
 * One cancel request to a shard. Until the shard has closed it, which it does after it has sent the signal, the server
 * connection it is for is given to nobody else, so that it can never hit another client's query. When that takes too
 * long the server connection is given up instead.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export class CancelRequest {
  readonly #host: CancelHost
  readonly #server: ServerConnection
  readonly #link: Link
  readonly #deadline: Timer
  #sent = false
  #over = false

  private constructor(host: CancelHost, server: ServerConnection, fd: OwnedFd) {
    this.#host = host
    this.#server = server
    this.#deadline = new Timer(() => this.#end('a cancel request was not answered in time'))
    this.#link = openUnrecordedLink(host, this, fd)
    this.#link.watchConnect()
    host.timers.arm(this.#deadline, host.now + (host.timeouts.cancelMs || 10_000))
    server.work.isCancelled = true
    server.life.beginCancel()
  }

  /** Dials the server connection's shard. A shard that cannot be dialled cannot be asked: nothing happens. */
  static send(host: CancelHost, server: ServerConnection): void {
    if (server.identity.cancelKey.length === 0) return
    try {
      const fd = dialShard(server.target.shard)
      new CancelRequest(host, server, fd)
    } catch (error) {
      if (!(error instanceof SystemError)) throw error
    }
  }

  onReadable(): void {
    if (!this.#sent) {
      this.onDrained()
      return
    }
    if (this.#link.read() !== LINK_EMPTY) this.#end(null)
  }

  onDrained(): void {
    if (this.#sent || this.#over) return
    if (connectResult(this.#link.fd) !== 0) {
      this.#end(null)
      return
    }
    this.#sent = true
    this.#link.watchBytes()
    writeCancelRequest(writer.reset(), this.#server.identity.backendPid, this.#server.identity.cancelKey)
    if (!this.#link.send(writer.bytes)) this.#end(null)
  }

  onLost(): void {
    this.#end(null)
  }

  onPeerEnd(): void {
    // Not asked for.
  }

  onSave(): void {
    // Nobody goes on with it.
  }

  onHangUp(): void {
    this.#end(null)
  }

  onFault(error: unknown): void {
    this.#end('internal error in a cancel request')
    throw error
  }

  #end(failure: string | null): void {
    if (this.#over) return
    this.#over = true
    this.#host.timers.disarm(this.#deadline)
    this.#link.close()
    // Nobody knows whether the signal is still to come.
    if (failure !== null) this.#server.close(failure)
    this.#server.life.endCancel()
  }
}
