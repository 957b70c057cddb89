import type { Deferrable } from '../io/deferred.ts'
import { Inbox } from '../io/inbox.ts'
import { Link } from '../io/link.ts'
import type { LinkOwner } from '../io/link-host.ts'
import { LINK_EMPTY, LINK_END } from '../io/link-read.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { SERVER, SERVER_F64, SERVER_SECTIONS, type ServerState } from '../memory/server-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import type { ReplyRelay } from './reply-relay.ts'
import type { ReplySink } from './reply-sink.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerOpening } from './server-opening.ts'
import type { ServerRecord } from './server-record.ts'

/** The server connection whose server sends. */
export interface ReadServer {
  readonly slot: number
  readonly state: ServerState
  readonly client: ReplySink | null
  readonly relay: ReplyRelay
  /** Null after the login. */
  readonly opening: ServerOpening | null
  readonly record: ServerRecord
  lose(reason: string, fields: ErrorFields | null): void
}

const NO_BUFFER = 'no buffer left for a part of a message'
const LINK_FIELDS = { ...SERVER, ...SERVER_F64, sections: SERVER_SECTIONS }

/** What a server sends: reads it, hands it to the handshake or to the relay, and keeps the part of a message at its end. */
export class ServerReader implements LinkOwner, Deferrable {
  isDeferred = false
  readonly link: Link
  readonly #host: ServerHost
  readonly #server: ReadServer
  readonly #inbox: Inbox
  /** There was no room to keep what it sent. */
  #isShort = false

  /** `isKept`: the connection is open and logged in. */
  constructor(host: ServerHost, server: ReadServer, fd: OwnedFd, isKept: boolean) {
    this.#host = host
    this.#server = server
    this.#inbox = new Inbox(host, host.servers, server.slot, SERVER)
    this.link = new Link(host, this, host.servers, server.slot, LINK_FIELDS, fd)
    if (!isKept) this.link.watchConnect()
  }

  get isReading(): boolean {
    const { opening, client, state } = this.#server
    return opening === null && state !== 'closing' && client?.link.blocked !== true
  }

  onReadAhead(count: number): void {
    if (this.#server.state === 'closing') return
    if (!this.#inbox.keepBehind(count)) this.#isShort = true
    this.replay()
  }

  onReadable(): void {
    const server = this.#server
    if (server.state === 'connecting') {
      server.opening?.onConnected()
      return
    }
    if (server.opening?.isSecuring === true && !server.opening.secure()) return
    for (;;) {
      if (server.client?.link.blocked) {
        this.link.pauseReading()
        return
      }
      // What it is about to use, as soon as this event is over.
      if (this.#inbox.isFull) return
      const count = this.link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        server.lose(
          count === LINK_END ? 'the server closed the connection' : this.link.failure,
          server.relay.answers.lastWords,
        )
        return
      }
      let start = READ_HEADROOM
      if (this.#inbox.bytes > 0) {
        this.#inbox.prepend()
        start = this.#inbox.start
      }
      this.#consume(start, READ_HEADROOM + count)
      // A plain socket that has more says so again; TLS keeps what it decrypted.
      if (this.link.closed || !this.link.reading || !this.link.secure || server.opening?.isSecuring === true) return
      if (!this.link.readsOn()) return
    }
  }

  onSave(section: number, isTorn: boolean): void {
    this.#server.record.save(section, isTorn)
  }

  /** What has been read and not used, by another process perhaps, is used, as soon as nobody uses the buffers that all share. */
  replay(): void {
    this.#host.deferred.add(this)
  }

  runDeferred(): void {
    if (this.#server.state === 'closing') return
    if (this.#isShort) this.#server.lose(NO_BUFFER, null)
    if (this.#inbox.bytes === 0) return
    this.link.touch()
    this.#inbox.take()
    this.#consume(this.#inbox.start, this.#inbox.end)
  }

  onDrained(): void {
    if (this.#server.state === 'connecting') this.#server.opening?.onConnected()
    else this.#server.client?.onServerDrained()
  }

  onPeerEnd(): void {
    // Not asked for.
  }

  onHangUp(): void {
    // Its last words are read when its client takes bytes again.
  }

  onLost(): void {
    this.#server.lose(this.link.failure, this.#server.relay.answers.lastWords)
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#host.log('error', 'internal error while serving a server connection', { server: this.#server.slot, reason })
    this.#server.lose('internal error in the router', null)
  }

  /** Reads no more; what was kept is dropped. */
  close(): void {
    this.#inbox.release()
    this.link.close()
  }

  #consume(start: number, end: number): void {
    const { inbound } = this.#host
    const { opening, relay } = this.#server
    const used = opening === null ? relay.consume(inbound, start, end) : opening.consume(start, end)
    if (this.#server.state === 'closing' || used === end) return
    if (!this.#inbox.keep(inbound, used, end)) this.#server.lose(NO_BUFFER, null)
  }
}
