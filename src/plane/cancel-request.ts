import type { Link } from '../io/link.ts'
import type { LinkHost } from '../io/link-host.ts'
import { LINK_EMPTY } from '../io/link-read.ts'
import { SystemError } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { connectResult } from '../io/socket.ts'
import { openUnrecordedLink } from '../io/unrecorded-link.ts'
import { writeCancelRequest } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields } from '../server/server-host.ts'
import { dialShard } from '../server/shard-dial.ts'
import { type TlsProgress, TlsRequest, type TlsRequestHost } from '../server/tls-request.ts'
import type { Shard } from '../shard/topology.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

const writer = new MessageWriter()

/** What a cancel request needs of the plane that sends it. */
export interface CancelHost extends LinkHost, TlsRequestHost {
  readonly now: number
  readonly timers: TimerWheel
  readonly timeouts: { readonly cancelMs: number }
  log(level: 'warn', message: string, fields: LogFields): void
}

/** Which backend shall cancel what it does. */
export interface CancelledBackend {
  readonly shard: Shard
  readonly backendPid: number
  readonly cancelKey: Buffer
}

/**
 * One cancel request to a shard, as encrypted and as sure of whom it speaks to as the connections to it (as libpq does it since
 * version 17). Until the shard has closed it, which it does after it has sent the signal, the server connection it is for is
 * given to nobody else, so that it can never hit another client's query. When that takes too long the server connection is given
 * up instead.
 *
 * - connecting: the socket is not open yet.
 * - securing: TLS, where it is used: `TlsRequest`.
 * - sent: the shard has the request. over: it has closed the connection, or there is none.
 *
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-CANCELING-REQUESTS
 */
export class CancelRequest {
  /** Too little comes here to read it ahead. */
  readonly isReading = false
  readonly #host: CancelHost
  readonly #backend: CancelledBackend
  /** Whose backend it is; null: nobody's that could get another client. */
  readonly #server: ServerConnection | null
  readonly #link: Link
  readonly #tls: TlsRequest
  readonly #deadline: Timer
  readonly #over: () => void
  #step: 'connecting' | 'securing' | 'sent' | 'over' = 'connecting'

  private constructor(
    host: CancelHost,
    backend: CancelledBackend,
    server: ServerConnection | null,
    fd: OwnedFd,
    over: () => void,
  ) {
    this.#over = over
    this.#host = host
    this.#backend = backend
    this.#server = server
    this.#deadline = new Timer(() => this.#end('a cancel request was not answered in time'))
    this.#link = openUnrecordedLink(host, this, fd)
    this.#tls = new TlsRequest(host, this.#link, backend.shard)
    this.#link.watchConnect()
    host.timers.arm(this.#deadline, host.now + (host.timeouts.cancelMs || 10_000))
    if (server === null) return
    server.work.isCancelled = true
    server.life.beginCancel()
  }

  /** For what a server connection does. `over`: the shard has dealt with it, or never will. */
  static send(host: CancelHost, server: ServerConnection, over: () => void = () => {}): void {
    CancelRequest.#dial(host, backendOf(server), server, over)
  }

  /** For a backend whose connection is closed. */
  static sendTo(host: CancelHost, backend: CancelledBackend): void {
    CancelRequest.#dial(host, backend, null, () => {})
  }

  /** A shard that cannot be dialled cannot be asked: nothing happens. */
  static #dial(host: CancelHost, backend: CancelledBackend, server: ServerConnection | null, over: () => void): void {
    const fd = backend.cancelKey.length === 0 ? null : dialIfPossible(backend.shard)
    if (fd === null) over()
    else new CancelRequest(host, backend, server, fd, over)
  }

  onReadAhead(): void {}

  onReadable(): void {
    if (this.#step === 'connecting') this.#connected()
    else if (this.#tls.securing) this.#progress(this.#tls.secure())
    else this.#read()
  }

  onDrained(): void {
    if (this.#step === 'connecting') this.#connected()
  }

  #connected(): void {
    if (connectResult(this.#link.fd) !== 0) {
      this.#end(null)
      return
    }
    this.#step = 'securing'
    this.#link.watchBytes()
    this.#progress(this.#tls.start())
  }

  #read(): void {
    const count = this.#link.read()
    if (count === LINK_EMPTY) return
    if (count > 0 && this.#tls.asking) this.#progress(this.#tls.answer(READ_HEADROOM, READ_HEADROOM + count))
    else this.#end(null)
  }

  #progress(progress: TlsProgress): void {
    if (progress.kind === 'pending') return
    if (progress.kind === 'failed') {
      const { name } = this.#backend.shard
      this.#host.log('warn', 'a cancel request could not be sent', { shard: name, reason: progress.reason })
      this.#end(null)
      return
    }
    this.#step = 'sent'
    writeCancelRequest(writer.reset(), this.#backend.backendPid, this.#backend.cancelKey)
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
    if (this.#step === 'over') return
    this.#step = 'over'
    this.#host.timers.disarm(this.#deadline)
    this.#link.close()
    // Nobody knows whether the signal is still to come.
    if (failure !== null) this.#server?.close(failure)
    this.#server?.life.endCancel()
    this.#over()
  }
}

/** The one behind this connection. */
export function backendOf({ target, identity }: ServerConnection): CancelledBackend {
  return { shard: target.shard, backendPid: identity.backendPid, cancelKey: identity.cancelKey }
}

function dialIfPossible(shard: Shard): OwnedFd | null {
  try {
    return dialShard(shard)
  } catch (error) {
    if (!(error instanceof SystemError)) throw error
    return null
  }
}
