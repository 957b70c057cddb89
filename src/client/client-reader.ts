import { RouterError } from '../errors.ts'
import type { Deferrable } from '../io/deferred.ts'
import { Inbox } from '../io/inbox.ts'
import { Link } from '../io/link.ts'
import type { LinkOwner } from '../io/link-host.ts'
import { LINK_EMPTY, LINK_END } from '../io/link-read.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { CLIENT, CLIENT_F64, CLIENT_SECTIONS, CLIENT_STEP, type ClientState, PIN } from '../memory/client-slots.ts'
import { slotMark } from '../memory/slot-mark.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { type ClientHost, FATAL } from './client-host.ts'
import type { Greeting } from './greeting.ts'
import { PeerProbe } from './peer-probe.ts'
import type { RequestRelay } from './request-relay.ts'
import type { ServerSeat } from './server-seat.ts'
import type { SessionListening } from './session-listening.ts'
import type { SessionState } from './session-state.ts'

/** The session whose client sends. */
export interface ReaderSession {
  readonly slot: number
  readonly user: string
  readonly state: ClientState
  readonly settings: SessionState
  readonly seat: ServerSeat
  readonly requests: RequestRelay
  /** Null after its first ReadyForQuery. */
  readonly greeting: Greeting | null
  readonly listening: SessionListening | null
  send(bytes: Uint8Array): void
  close(reason: string, fields: ErrorFields | null): void
  finish(): void
  /** Completes the section at `section`. */
  save(section: number, isTorn: boolean): void
}

const LINK_FIELDS = { ...CLIENT, ...CLIENT_F64, sections: CLIENT_SECTIONS }

/**
 * What a client sends: reads it when it may, hands it to the greeting or to the requests, and keeps what nobody can take
 * yet. Knows as well when the client has nothing more to say, and stays for what it is owed until then.
 */
export class ClientReader implements LinkOwner, Deferrable {
  isDeferred = false
  readonly link: Link
  readonly #host: ClientHost
  readonly #session: ReaderSession
  readonly #inbox: Inbox
  /** Null: it has never had to be asked whether it is there. */
  #probe: PeerProbe | null = null
  #isHeldBack = false
  #peerEnded = false
  /** There was no room to keep what it sent. */
  #isShort = false
  readonly #mark: number

  constructor(host: ClientHost, session: ReaderSession, fd: OwnedFd) {
    this.#host = host
    this.#session = session
    this.#mark = slotMark(host.clients, session.slot)
    this.#inbox = new Inbox(host, host.clients, session.slot, CLIENT)
    this.link = new Link(host, this, host.clients, session.slot, LINK_FIELDS, fd)
  }

  /** The client has closed its side, and everything that it sent before has been used. */
  get isAtEnd(): boolean {
    return this.#peerEnded && !this.#isHeldBack
  }

  /** Something of the client's is there, or may be, that was not wanted before. */
  get isStalled(): boolean {
    return this.#isHeldBack || !this.link.reading
  }

  /** CLIENT_STEP bits. */
  get stepFlags(): number {
    return (this.#isHeldBack ? CLIENT_STEP.heldBack : 0) | (this.#peerEnded ? CLIENT_STEP.peerEnded : 0)
  }

  /** As it was in another process. */
  restore(flags: number): void {
    this.#isHeldBack = (flags & CLIENT_STEP.heldBack) !== 0
    if ((flags & CLIENT_STEP.peerEnded) === 0) return
    this.#peerEnded = true
    this.link.pauseReading()
    this.#needProbe().askLater()
  }

  onSave(section: number, isTorn: boolean): void {
    this.#session.save(section, isTorn)
  }

  get isReading(): boolean {
    return this.#session.greeting === null && this.#mayRead()
  }

  onReadAhead(count: number): void {
    if (this.#session.state === 'closing') return
    if (!this.#inbox.keepBehind(count)) this.#isShort = true
    this.holdBack()
    this.resume()
  }

  onReadable(): void {
    if (this.#session.greeting?.handshaking && !this.#session.greeting.handshake()) return
    for (;;) {
      if (this.#session.state === 'closing') {
        this.#readForNothing()
        return
      }
      if (!this.#mayRead()) {
        // Only now: most clients send nothing before they have got their answer.
        this.link.pauseReading()
        if (this.#session.state === 'waiting') this.link.watchEnd()
        return
      }
      const count = this.link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.#ended(count === LINK_END)
        return
      }
      let start = READ_HEADROOM
      if (this.#inbox.bytes > 0) {
        this.#inbox.prepend()
        start = this.#inbox.start
      }
      this.#consume(start, READ_HEADROOM + count)
      if (this.link.closed || !this.link.secure || !this.link.reading) return
      if (!this.link.readsOn()) return
      if (this.#session.greeting?.handshaking && !this.#session.greeting.handshake()) return
    }
  }

  /** The client may go on, as soon as nobody uses the buffers that all share. */
  resume(): void {
    this.#host.deferred.add(this)
  }

  /** What has been used already is to be used once more, before anything else. False: there is no room for it. */
  unread(bytes: Buffer): boolean {
    return this.#inbox.unread(bytes)
  }

  /** So many of the bytes that are to be used next are not. False: there is no room for the rest of them. */
  drop(count: number): boolean {
    return this.#inbox.drop(count)
  }

  /** Uses what waits in the inbox, then listens again. */
  runDeferred(): void {
    const { state } = this.#session
    if (state === 'closing') return
    if (this.#isShort) {
      this.#outOfBuffers()
      return
    }
    // One that waits has got in line since this was asked for, and goes on when its turn comes.
    if (state === 'waiting') return
    this.#host.progress[0] = this.#mark
    this.#isHeldBack = false
    if (this.#inbox.bytes > 0) {
      this.#inbox.take()
      this.#consume(this.#inbox.start, this.#inbox.end)
    }
    this.leaveIfDone()
    if (!this.#mayRead()) return
    if (!this.link.reading) this.link.resumeReading()
    // What TLS has decrypted raises no event.
    else if (this.link.secure) this.onReadable()
  }

  /** Bytes wait in the inbox because nobody can take them, not because they are a part of something. */
  holdBack(): void {
    this.#isHeldBack = true
  }

  /** Not a getter: V8 finds private ones through its runtime, however hot the code. */
  #mayRead(): boolean {
    const { state, greeting } = this.#session
    if (state === 'closing' || state === 'waiting' || this.#peerEnded) return false
    if (greeting !== null) return greeting.isReading
    const { seat, listening } = this.#session
    if (listening?.isHolding) return false
    // What waits behind a read on a replica would soon be more than there is room for; more than a read can continue is.
    if ((this.#isHeldBack && seat.reads.isOnReplica) || this.#inbox.isFull) return false
    const { server } = seat
    return server === null || !(server.link.blocked || server.queue.full)
  }

  #consume(start: number, end: number): void {
    const { inbound } = this.#host
    const { greeting, requests } = this.#session
    const used = greeting === null ? requests.consume(inbound, start, end) : greeting.consume(inbound, start, end)
    if (this.#session.state === 'closing') return
    if (used < end && !this.#inbox.keep(inbound, used, end)) this.#outOfBuffers()
  }

  #outOfBuffers(): void {
    this.#session.close('out of buffers', FATAL('53200', 'out of memory for buffers of waiting clients'))
  }

  #ended(orderly: boolean): void {
    if (orderly && this.#session.greeting === null && !this.#session.requests.midMessage && this.outlives()) {
      this.#needProbe().askLater()
      return
    }
    this.#session.close(orderly ? 'client closed the connection' : this.link.failure, null)
  }

  #needProbe(): PeerProbe {
    this.#probe ??= new PeerProbe(this.#host, this.#session)
    return this.#probe
  }

  /**
   * The client sends no more; true when it is still owed something. PostgreSQL too finishes what it was asked before it
   * looks for more, and then finds nobody there. Not when it looks for more already: for the rest of a COPY, for the Sync of
   * an extended query. A console's PAUSE ends with its client.
   */
  outlives(): boolean {
    const { state, settings, seat, listening } = this.#session
    const { server } = seat
    const isOwed = server !== null && server.queue.promised > 0 && !server.relay.answers.copyingIn
    const isHeld = this.#isHeldBack || listening?.isHolding === true
    if ((state !== 'waiting' && !isOwed && !isHeld) || (settings.pins & PIN.console) !== 0) return false
    this.#peerEnded = true
    this.link.pauseReading()
    return true
  }

  /** A client that has left stays as long as it is owed something; true when its session is over. */
  leaveIfDone(): boolean {
    const { state, seat, listening } = this.#session
    if (state === 'closing') return true
    const isOwed = seat.isOwed || listening?.isHolding === true
    if (!this.#peerEnded || state === 'waiting' || isOwed || this.#isHeldBack) return false
    this.#session.close('client closed the connection', null)
    return true
  }

  /** The session is over: nobody wants what was kept. */
  release(): void {
    this.#probe?.stop()
    this.#inbox.release()
  }

  /** After last words, reads and forgets what still comes, so that closing does not reset the connection under them. */
  #readForNothing(): void {
    for (;;) {
      const count = this.link.read()
      if (count === LINK_EMPTY) return
      if (count === LINK_END && this.link.isDelivering) {
        // It still listens, and has not got all that it was answered.
        this.#peerEnded = true
        if (this.link.blocked) this.link.pauseReading()
        return
      }
      if (count <= 0) {
        this.#session.finish()
        return
      }
      if (!this.link.secure) return
    }
  }

  onDrained(): void {
    if (this.#session.state === 'closing') {
      if (this.#peerEnded) this.#session.finish()
      return
    }
    this.#session.seat.server?.link.resumeReading()
    this.#session.listening?.flush()
  }

  /** Both directions are dead: nothing can be delivered any more. */
  onHangUp(): void {
    if (this.#session.state === 'closing') this.#session.finish()
    else this.#session.close('connection reset by the client', null)
  }

  /** A client that waits sends no more. If it is gone, its requests are forgotten. */
  onPeerEnd(): void {
    if (this.#session.state === 'waiting') this.#needProbe().ask()
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (error instanceof RouterError) {
      this.#session.close(error.message, FATAL(error.sqlstate, error.message, error.hint))
      return
    }
    const { slot, user } = this.#session
    this.#host.countPlane('internalErrors')
    this.#host.log('error', 'internal error while serving a client', { client: slot, user, reason })
    this.#session.close(
      'internal error',
      FATAL('XX000', 'internal error in the router', "the router's log has the details"),
    )
  }

  onLost(): void {
    if (this.#session.state === 'closing') this.#session.finish()
    else this.#session.close(this.link.failure, null)
  }
}
