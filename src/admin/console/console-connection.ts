import type { Socket } from 'node:net'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { RouterError } from '../../errors.ts'
import { FRONTEND } from '../../protocol/message-type.ts'
import {
  writeAuthenticationOk,
  writeBackendKeyData,
  writeError,
  writeNegotiateProtocolVersion,
  writeParameterStatus,
  writeReady,
} from '../../protocol/messages.ts'
import type { StartupPacket } from '../../protocol/startup.ts'
import { MessageWriter } from '../../protocol/writer.ts'
import { writableAgain } from '../writable-again.ts'
import type { ReportContext } from './command.ts'
import { consoleLogin } from './console-login.ts'
import { type Audit, ConsoleSession } from './console-session.ts'
import { describeError, isBug } from './error-report.ts'
import { FrameReader } from './frame-reader.ts'

const FLUSH_BYTES = 32 * 1024
/** How long a peer may take to read our last words. */
const LINGER_MS = 5_000

export interface CancelKey {
  readonly processId: number
  readonly secret: Buffer
}

export interface ConnectionOptions {
  readonly socket: Socket
  readonly report: ReportContext
  /** What this connection tells its client to cancel with. */
  readonly key: CancelKey
  readonly audit: Audit
  readonly loginTimeoutMs: number
  /** Called for a cancel request that came on this connection. */
  readonly cancel: (key: CancelKey) => void
  /** Called with an exception that is a bug here; the connection ends, the others go on. */
  readonly failed: (error: unknown) => void
}

/**
 * One socket of the console: bytes in, one message at a time, bytes out no faster than the peer reads. While a command
 * runs or the peer does not read, nothing more is read from it, so memory is bounded by two messages and one piece of
 * output. Owns the socket; `serve` settles when it is closed for good.
 */
export class ConsoleConnection {
  readonly #options: ConnectionOptions
  readonly #socket: Socket
  readonly #replies = new MessageWriter()
  readonly #reader = new FrameReader()
  #session: ConsoleSession | null = null

  constructor(options: ConnectionOptions) {
    this.#options = options
    this.#socket = options.socket
  }

  get key(): CancelKey {
    return this.#options.key
  }

  /** Answers until the client leaves, breaks the protocol, or `end` is called. Never rejects. */
  async serve(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#socket.once('close', () => resolve()))
    // The read loop and `#flush` see the failure themselves; without a listener it would end the process.
    this.#socket.on('error', () => undefined)
    this.#socket.setTimeout(this.#options.loginTimeoutMs, () => this.#socket.destroy())
    try {
      await this.#readLoop()
      this.#leave()
    } catch (error) {
      this.#endAfter(error)
    }
    await closed
  }

  /** Ends the command that runs, if one waits. */
  cancel(): void {
    this.#session?.cancel()
  }

  /** Tells the client why, and closes. */
  end(sqlstate: string, message: string): void {
    writeError(this.#replies, { severity: 'FATAL', sqlstate, message })
    this.#leave()
  }

  async #readLoop(): Promise<void> {
    for await (const chunk of this.#socket.iterator({ destroyOnReturn: false })) {
      this.#reader.push(chunk)
      if (await this.#handleFrames()) return
      await this.#flush()
    }
  }

  /** True: the connection is to be closed. */
  async #handleFrames(): Promise<boolean> {
    while (this.#session === null) {
      const verdict = this.#startup(this.#reader.nextStartup())
      if (verdict !== 'next') return verdict === 'leave'
    }
    for (let frame = this.#reader.next(); frame !== null; frame = this.#reader.next()) {
      if (await this.#session.handle(frame)) return true
      if (this.#replies.length > FLUSH_BYTES) await this.#flush()
      // A pipeline of a thousand reports must not keep the control process from its other work.
      if (frame.type === FRONTEND.query || frame.type === FRONTEND.execute) await nextTurn()
    }
    return false
  }

  #startup(packet: StartupPacket): 'next' | 'wait' | 'leave' {
    switch (packet.kind) {
      case 'incomplete':
        return 'wait'
      case 'ssl-request':
      case 'gss-request':
        this.#replies.byte(0x4e)
        return 'next'
      case 'cancel':
        this.#options.cancel({ processId: packet.processId, secret: packet.key })
        return 'leave'
      case 'invalid':
        if (packet.message !== null) throw new RouterError(packet.sqlstate, packet.message, { origin: 'client' })
        return 'leave'
      case 'startup':
        this.#login(packet.minor, packet.parameters)
        return 'next'
    }
  }

  #login(minor: number, parameters: ReadonlyMap<string, string>): void {
    const login = consoleLogin(parameters)
    const { report, audit, failed, key } = this.#options
    const replies = this.#replies
    const session = new ConsoleSession({ login, report, audit, failed, replies, flush: () => this.#flush() })
    const unknown = [...parameters.keys()].filter((name) => name.startsWith('_pq_.'))
    if (minor > 0 || unknown.length > 0) writeNegotiateProtocolVersion(replies, 0, unknown)
    writeAuthenticationOk(replies)
    for (const [name, value] of session.settings.reported()) writeParameterStatus(replies, name, value)
    writeBackendKeyData(replies, key.processId, key.secret)
    writeReady(replies, 'I'.charCodeAt(0))
    this.#socket.setTimeout(0)
    this.#session = session
  }

  async #flush(): Promise<void> {
    if (this.#replies.length === 0) return
    if (!this.#socket.writable) throw peerGone()
    if (this.#socket.write(this.#takeReplies())) return
    if (!(await writableAgain(this.#socket))) throw peerGone()
  }

  #takeReplies(): Buffer {
    const taken = Buffer.from(this.#replies.bytes)
    this.#replies.reset()
    return taken
  }

  #endAfter(error: unknown): void {
    if (isSocketError(error)) {
      this.#socket.destroy()
      return
    }
    if (isBug(error)) this.#options.failed(error)
    const { sqlstate, message } = describeError(error)
    this.end(sqlstate, message)
  }

  #leave(): void {
    if (this.#socket.destroyed) return
    this.#socket.end(this.#takeReplies())
    // What still comes is read and dropped: unread, it would hide that the peer has closed.
    this.#socket.resume()
    this.#socket.setTimeout(LINGER_MS, () => this.#socket.destroy())
  }
}

function peerGone(): RouterError {
  return new RouterError('08006', 'The console client has closed its connection.', { origin: 'client' })
}

function isSocketError(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string'
}
