import type { NativeBuffer } from '../io/native.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ClientHost } from './client-host.ts'
import { ClientLogin } from './client-login.ts'
import type { ClientSession } from './client-session.ts'
import type { LoginTranscript } from './login-transcript.ts'
import type { StartupRequest } from './startup.ts'
import { Welcome } from './welcome.ts'

/**
 * A session before its first ReadyForQuery; nobody has it afterwards.
 *
 * - login: the client says who it is and proves it.
 * - welcome: the client waits, and is not read from.
 */
export class Greeting {
  readonly #host: ClientHost
  readonly #session: ClientSession
  readonly #transcript: LoginTranscript
  #login: ClientLogin | null
  #welcome: Welcome | null = null

  /** `transcript`: of a login that another process had begun, or of a new one. */
  constructor(host: ClientHost, session: ClientSession, transcript: LoginTranscript) {
    this.#host = host
    this.#session = session
    this.#transcript = transcript
    this.#login = new ClientLogin(host, this, session, transcript)
  }

  /** More is expected from the client. */
  get isReading(): boolean {
    return this.#login !== null
  }

  /** Bytes from the socket are TLS's: call `handshake`, not `consume`. */
  get handshaking(): boolean {
    return this.#login?.handshaking === true
  }

  /** What another process needs to go on with the login; null: nobody can, at the moment. */
  get transcript(): LoginTranscript | null {
    return this.handshaking ? null : this.#transcript
  }

  /** Why there is no server connection to greet it with, if that is known. */
  get poolFailure(): ErrorFields | null {
    return this.#welcome?.poolFailure ?? null
  }

  /** True when bytes may have been decrypted already. */
  handshake(): boolean {
    return this.#login?.handshake() === true
  }

  /** Returns where the first unused byte is. */
  consume(source: NativeBuffer, start: number, end: number): number {
    if (this.#login === null) return start
    const used = this.#login.consume(source, start, end)
    if (!this.handshaking) this.#transcript.hear(source.bytes.subarray(start, used))
    return used
  }

  /** The client is who it says. */
  authenticated(request: StartupRequest, credential: ServerCredential): void {
    this.#login = null
    this.#welcome = new Welcome(this.#host, this.#session, request, credential)
    this.#welcome.begin()
  }

  /** The server has answered what it was asked for the welcome. */
  onPrepared(failure: ErrorFields | null): void {
    this.#welcome?.onPrepared(failure)
  }

  /** The session is over: nobody may call back. */
  abandon(): void {
    this.#login?.abandon()
    this.#welcome?.abandon()
  }
}
