import { kernelPosition } from '../io/kernel-position.ts'
import type { Link } from '../io/link.ts'
import { describeErrno } from '../io/native.ts'
import { connectResult, localAddress } from '../io/socket.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { type HandshakeOwner, ServerHandshake } from './server-handshake.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerLifecycle } from './server-lifecycle.ts'
import type { LoginResult } from './server-login.ts'
import type { ServerSlot } from './server-slot.ts'
import type { ServerTarget } from './server-target.ts'

/** The server connection that is opened. */
interface OpenedServer {
  readonly link: Link
  readonly target: ServerTarget
  readonly life: ServerLifecycle
  onLoggedIn(login: LoginResult): void
  lose(reason: string, fields: ErrorFields | null): void
}

/** How a server connection gets ready: from a socket that is dialled to the end of the login. Thrown away afterwards. */
export class ServerOpening implements HandshakeOwner {
  readonly #host: ServerHost
  readonly #server: OpenedServer
  readonly #memory: ServerSlot
  #handshake: ServerHandshake | null = null

  constructor(host: ServerHost, server: OpenedServer, memory: ServerSlot) {
    this.#host = host
    this.#server = server
    this.#memory = memory
  }

  /** What the socket has to say is TLS's: call `secure`. */
  get isSecuring(): boolean {
    return this.#handshake?.securing === true
  }

  get link(): Link {
    return this.#server.link
  }

  /** The socket is open, or could not be opened. */
  onConnected(): void {
    const { link, target } = this.#server
    const error = connectResult(link.fd)
    if (error !== 0) {
      this.onRefused(describeErrno('connect', error), null)
      return
    }
    this.#memory.connected(localAddress(link.fd).port, kernelPosition(link.fd)?.written ?? 0)
    this.#server.life.connected()
    link.watchBytes()
    this.#handshake = new ServerHandshake(this.#host, this, target)
    this.#handshake.start()
  }

  /** Takes the TLS handshake as far as it goes. False: it is not done, or the connection is closed. */
  secure(): boolean {
    this.#handshake?.secure()
    return !this.isSecuring && !this.link.closed
  }

  /** The same as `ReplyRelay.consume`, for `host.inbound`. */
  consume(start: number, end: number): number {
    return this.#handshake === null ? start : this.#handshake.consume(start, end)
  }

  onSecured(tls: string): void {
    this.#memory.secured(tls)
    this.link.stream.carryOn(this.#memory.tlsSession)
  }

  onLoggedIn(login: LoginResult): void {
    this.#server.onLoggedIn(login)
  }

  onRefused(reason: string, fields: ErrorFields | null): void {
    this.#server.lose(reason, fields)
  }

  /** What those who wait for the connection are told when it is lost before it is ready; `fields`: the shard's own words. */
  failure(reason: string, fields: ErrorFields | null): ErrorFields {
    const { name } = this.#server.target.shard
    return fields ?? { severity: 'FATAL', sqlstate: '08001', message: `cannot connect to shard "${name}": ${reason}` }
  }
}
