import { RouterError } from '../errors.ts'
import type { Deferrable } from '../io/deferred.ts'
import { Inbox } from '../io/inbox.ts'
import { LINK_EMPTY, LINK_END, Link, READ_HEADROOM } from '../io/link.ts'
import { AF_INET, AF_UNIX } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { tuneSocket } from '../io/socket.ts'
import { CLIENT, CLIENT_F64, type ClientState, PIN } from '../memory/client-slots.ts'
import type { ClientFamily } from '../memory/keeper-protocol.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError, writeParameterStatus } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { DedicatedServer } from '../server/dedicated-server.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PoolWaiter, ServerPool } from '../server/server-pool.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { StatementFacts } from '../sql/statement-facts.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import { type ClientHost, ERROR, FATAL } from './client-host.ts'
import { ClientLogin } from './client-login.ts'
import { ClientMeter } from './client-meter.ts'
import { ClientSlot } from './client-slot.ts'
import type { PoolChoice } from './pool-choice.ts'
import { RequestRelay, type RequestSession } from './request-relay.ts'
import { type AnsweredSession, SessionAnswers } from './session-answers.ts'
import { SessionDeadlines } from './session-deadlines.ts'
import { SessionState } from './session-state.ts'
import type { StartupRequest } from './startup.ts'
import { Welcome } from './welcome.ts'

/** What the keeper says of a client that it accepted. */
export interface AcceptedClient {
  readonly slot: number
  readonly generation: number
  readonly family: ClientFamily
  readonly remotePort: number
  readonly localPort: number
  readonly address: string
}

const LINK_FIELDS = { ...CLIENT, ...CLIENT_F64 }
const writer = new MessageWriter()
let lastSerial = 0

/**
 * One client, from hand-over to close; the only place where login, requests, pools and replies meet.
 *
 * - login: startup, TLS, authentication, welcome.
 * - idle: no server connection; nothing is asked.
 * - waiting: asks for something, and no server connection is free. What it sent waits in its inbox, unread beyond that.
 * - active: has a server connection; keeps it for a transaction, or, pinned, until the pin's reason is gone.
 * - closing: over. Last words may still be on their way to it.
 */
export class ClientSession implements PoolWaiter, RequestSession, AnsweredSession, FifoNode, Deferrable {
  isDeferred = false
  readonly slot: number
  readonly generation: number
  readonly serial: number
  readonly isUnix: boolean
  readonly address: string
  readonly meter: ClientMeter
  readonly #host: ClientHost
  readonly #link: Link
  readonly #inbox: Inbox
  readonly #memory: ClientSlot
  readonly #deadlines: SessionDeadlines
  readonly #state: SessionState
  readonly #requests: RequestRelay
  readonly #answers: SessionAnswers
  #step: ClientState = 'login'
  #login: ClientLogin | null
  #welcome: Welcome | null = null
  #choice: PoolChoice | null = null
  #server: ServerConnection | null = null
  #dedicated: DedicatedServer | null = null
  /** The pool it waited in last. */
  #awaited: ServerPool | null = null
  /** Its server connection has not been put into its state yet. */
  #isFresh = false
  #counted = false
  #isHeldBack = false
  /** The client has closed its side and waits for answers at most. */
  #peerEnded = false
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  user = ''
  database = ''

  constructor(host: ClientHost, client: AcceptedClient, fd: OwnedFd) {
    this.#host = host
    this.slot = client.slot
    this.generation = client.generation
    this.serial = ++lastSerial
    this.isUnix = client.family === 1
    this.address = client.address
    this.#memory = new ClientSlot(host.clients, client, host.planeIndex)
    this.meter = new ClientMeter(host, client.slot)
    this.#state = new SessionState(host.parameters, (pins) => {
      this.#memory.pins(pins)
      this.meter.pinned(pins !== 0)
    })
    tuneSocket(fd, this.isUnix ? AF_UNIX : AF_INET)
    this.#inbox = new Inbox(host, host.clients, client.slot, CLIENT)
    this.#link = new Link(host, this, host.clients, client.slot, LINK_FIELDS, fd)
    this.#login = new ClientLogin(host, this)
    this.#requests = new RequestRelay(host, this)
    this.#deadlines = new SessionDeadlines(host, this)
    this.#answers = new SessionAnswers(this, {
      memory: this.#memory,
      state: this.#state,
      requests: this.#requests,
      deadlines: this.#deadlines,
    })
    this.#enter('login')
    this.#deadlines.login()
  }

  get link(): Link {
    return this.#link
  }

  get server(): ServerConnection | null {
    return this.#server
  }

  get state(): ClientState {
    return this.#step
  }

  get settings(): SessionState {
    return this.#state
  }

  /** Why its pool has no server connection for it, if that is known. */
  get poolFailure(): ErrorFields | null {
    return this.#awaited?.lastFailure ?? null
  }

  /** It has one of the slots beyond max_clients. */
  get isReserve(): boolean {
    return this.slot >= this.#host.values.limits.maxClients
  }

  get idleStatus(): number {
    return this.#state.transactionLost ? STATUS.failed : STATUS.idle
  }

  // ── login

  introduce(request: StartupRequest): void {
    this.user = request.user
    this.database = request.database
    this.#memory.protocolVersion(request.minor)
    this.#memory.text('user', request.user)
    this.#memory.text('database', request.database)
    this.#memory.text('applicationName', request.settings.get('application_name') ?? '')
  }

  noteTls(text: string): void {
    this.#memory.flag('tls')
    this.#memory.text('tls', text)
  }

  noteConsole(): void {
    this.#memory.flag('console')
  }

  authenticated(request: StartupRequest, credential: ServerCredential): void {
    this.#login = null
    this.#welcome = new Welcome(this.#host, this, request, credential)
    this.#welcome.begin()
  }

  /** It counts against the limits per user and database from now on. */
  countIn(): void {
    this.#counted = true
    this.#host.countLogin(this, 1)
  }

  /** Remembers the key with which a cancel request may name this session; returns the process id that goes with it. */
  issueCancelKey(key: Buffer): number {
    this.#memory.cancelKey(key)
    return cancelProcessId(this.slot, this.generation)
  }

  awaitServer(pool: ServerPool): void {
    this.#deadlines.welcome()
    this.#awaited = pool
    pool.wait(this)
  }

  awaitRoute(): void {
    this.#deadlines.welcome()
    this.#host.holdForRoute(this)
  }

  awaitDedicated(dedicated: DedicatedServer): void {
    this.#dedicated = dedicated
  }

  /** The client has got its ReadyForQuery. `choice` null: its server connection is its own for life. */
  welcomed(choice: PoolChoice | null, parameters: ParameterSet): void {
    this.#welcome = null
    this.#choice = choice
    this.#state.begin(choice === null ? null : parameters)
    this.#deadlines.rest()
    this.#enter(this.#server === null ? 'idle' : 'active')
    const pool = choice?.current()
    if (pool) this.#usePool(pool)
    this.resume()
  }

  // ── bytes from the client

  onReadable(): void {
    if (this.#login?.handshaking && !this.#login.handshake()) return
    for (;;) {
      if (this.#step === 'closing') {
        this.#readForNothing()
        return
      }
      if (this.#login === null && !this.#mayRead) {
        // Only now: most clients send nothing before they have got their answer.
        this.#link.pauseReading()
        if (this.#step === 'waiting') this.#link.watchEnd()
        return
      }
      const count = this.#link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.#ended(count === LINK_END)
        return
      }
      let start = READ_HEADROOM
      if (this.#inbox.bytes > 0) {
        this.#inbox.take()
        start = this.#inbox.start
      }
      this.#consume(start, READ_HEADROOM + count)
      if (this.#link.closed || !this.#link.secure || !this.#link.reading) return
      if (this.#login?.handshaking && !this.#login.handshake()) return
    }
  }

  /** It may go on, as soon as nobody uses the buffers that all share. */
  resume(): void {
    this.#host.deferred.add(this)
  }

  /** Uses what waits in the inbox, then listens again. */
  runDeferred(): void {
    if (this.#step === 'closing') return
    this.#isHeldBack = false
    if (this.#inbox.bytes > 0) {
      this.#inbox.take()
      this.#consume(this.#inbox.start, this.#inbox.end)
    }
    this.#mayEnd()
    if (!this.#mayRead) return
    if (!this.#link.reading) this.#link.resumeReading()
    // What TLS has decrypted raises no event.
    else if (this.#link.secure) this.onReadable()
  }

  /** Bytes wait in the inbox because nobody can take them, not because they are a part of something. */
  holdBack(): void {
    this.#isHeldBack = true
  }

  get #mayRead(): boolean {
    if (this.#step === 'closing' || this.#step === 'waiting' || this.#peerEnded || this.#welcome !== null) return false
    return this.#server === null || !(this.#server.link.blocked || this.#server.queue.full)
  }

  #consume(start: number, end: number): void {
    const { inbound } = this.#host
    let used = start
    if (this.#login) used = this.#login.consume(inbound, start, end)
    else if (this.#welcome === null) used = this.#requests.consume(inbound, start, end)
    if (this.#step === 'closing') return
    if (used < end && !this.#inbox.keep(inbound, used, end)) {
      this.close('out of buffers', FATAL('53200', 'out of memory for buffers of waiting clients'))
      return
    }
  }

  #ended(orderly: boolean): void {
    if (orderly && this.#login === null && !this.#requests.midMessage && this.#outlives()) return
    this.close(orderly ? 'client closed the connection' : this.#link.failure, null)
  }

  /**
   * PostgreSQL too finishes what it was asked before it looks for more, and then finds nobody there. Not when it looks for
   * more already: for the rest of a COPY, for the Sync of an extended query. A console's PAUSE ends with its client.
   */
  #outlives(): boolean {
    const isOwed = this.#server !== null && this.#server.queue.outstanding > 0 && !this.#server.relay.copyingIn
    if ((this.#step !== 'waiting' && !isOwed) || (this.#state.pins & PIN.console) !== 0) return false
    this.#peerEnded = true
    this.#link.pauseReading()
    return true
  }

  get #isOwed(): boolean {
    return this.#server !== null && this.#server.queue.length > 0
  }

  /** After last words, reads and forgets what still comes, so that closing does not reset the connection under them. */
  #readForNothing(): void {
    for (;;) {
      const count = this.#link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.finish()
        return
      }
      if (!this.#link.secure) return
    }
  }

  onDrained(): void {
    if (this.#step === 'closing') this.#link.hangUp()
    else this.#server?.link.resumeReading()
  }

  /** Both directions are dead: nothing can be delivered any more. */
  onHangUp(): void {
    this.close('connection reset by the client', null)
  }

  /**
   * A client that waits sends no more. It may listen still, or be gone, which only shows when something is sent to it: the
   * value of a parameter is always allowed. If it is gone, `onHangUp` follows and its requests are forgotten.
   */
  onPeerEnd(): void {
    const encoding = this.#state.parameters?.values.get('client_encoding')
    if (this.#step !== 'waiting' || encoding === undefined) return
    writeParameterStatus(writer.reset(), 'client_encoding', encoding)
    this.send(writer.bytes)
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    if (error instanceof RouterError) {
      this.close(error.message, FATAL(error.sqlstate, error.message, error.hint))
      return
    }
    this.#host.countPlane('internalErrors')
    this.#host.log('error', 'internal error while serving a client', { client: this.slot, user: this.user, reason })
    this.close('internal error', FATAL('XX000', 'internal error in the router', "the router's log has the details"))
  }

  onLost(): void {
    this.close(this.#link.failure, null)
  }

  // ── requests

  acquire(): boolean {
    this.meter.requestBegins()
    const pool = this.#choice?.current() ?? null
    const server = pool?.checkout() ?? null
    if (server !== null) {
      this.adopt(server)
      this.#isFresh = true
      this.#enter('active')
      return true
    }
    this.#enter('waiting')
    this.#isHeldBack = true
    this.meter.waitBegins()
    this.#deadlines.waiting()
    this.#queue(pool)
    return false
  }

  /** The pool for this session's next transaction may be another one than for its last. */
  #queue(pool: ServerPool | null): void {
    if (pool === null) {
      this.#host.holdForRoute(this)
      return
    }
    this.#usePool(pool)
    this.#awaited = pool
    pool.wait(this)
  }

  #usePool(pool: ServerPool): void {
    this.#memory.pool(pool.record)
    this.meter.usePool(pool.record)
  }

  /** The topology has changed: try again. */
  requeue(): void {
    if (this.#welcome !== null) this.#welcome.begin()
    else this.#queue(this.#choice?.current() ?? null)
  }

  onServer(server: ServerConnection): void {
    if (this.#welcome !== null) {
      this.#welcome.onServer(server)
      return
    }
    this.#deadlines.idle()
    this.meter.waitEnds()
    this.adopt(server)
    this.#isFresh = true
    this.#enter('active')
    this.resume()
  }

  onPoolFailed(fields: ErrorFields): void {
    if (this.#welcome !== null) this.close(fields.message, { ...fields, severity: 'FATAL' })
    else this.rejectRequest({ ...fields, severity: 'ERROR' })
  }

  /** Waits no longer: the request gets this error, and the client stays. */
  rejectRequest(fields: ErrorFields): void {
    this.#leaveQueue()
    this.meter.waitEnds()
    this.#requests.reject(fields)
    this.#enter('idle')
    this.#deadlines.idle()
    this.resume()
  }

  /** A request that waits is cancelled by its own client. */
  cancelWaiting(): void {
    if (this.#step === 'waiting') this.rejectRequest(ERROR('57014', 'canceling statement due to user request'))
  }

  prepare(facts: StatementFacts | null): void {
    const server = this.#server
    if (!this.#isFresh || server === null) return
    this.#isFresh = false
    this.#host.toServer.begin(server.link)
    const preamble = this.#state.preamble(server, facts)
    if (preamble !== '') server.relay.prepare(preamble, this.#host.toServer)
  }

  /** Has this server connection from now on. */
  adopt(server: ServerConnection): void {
    this.#server = server
    this.#memory.server(server.slot)
    this.meter.assigned()
    server.attach(this.#answers, this.slot)
  }

  /** Gives its server connection back as it is. */
  giveBack(): void {
    const server = this.#server
    this.#server = null
    this.#memory.server(null)
    server?.detach()
  }

  noteFacts(facts: StatementFacts): void {
    const sql = this.#state.note(facts, this.#server)
    if (sql !== '' && this.#server?.queue.length === 0) this.#server.relay.prepare(sql, this.#host.toServer)
  }

  pin(bits: number): void {
    this.#state.pin(bits)
  }

  noteRequest(): void {
    this.meter.requestBegins()
    this.#memory.outstanding(this.#server?.queue.outstanding ?? 0)
    this.#deadlines.querying()
  }

  // ── what answers lead to

  get isWelcoming(): boolean {
    return this.#welcome !== null
  }

  get isClosing(): boolean {
    return this.#step === 'closing'
  }

  get hasPeerEnded(): boolean {
    return this.#peerEnded
  }

  get isHeldBack(): boolean {
    return this.#isHeldBack
  }

  onWelcomePrepared(failure: ErrorFields | null): void {
    this.#welcome?.onPrepared(failure)
  }

  onTransactionEnd(): void {
    this.#deadlines.idle()
    if (this.#state.pins === 0) {
      this.#enter('idle')
      this.giveBack()
    }
    this.#afterRequest()
  }

  loseServer(): ServerConnection {
    const server = this.#server as ServerConnection
    this.#server = null
    this.#memory.server(null)
    return server
  }

  goOn(): void {
    this.#enter('idle')
    this.#deadlines.idle()
    this.resume()
  }

  #afterRequest(): void {
    if (this.#mayEnd()) return
    if (this.#host.draining) this.onDraining()
    else if (this.#isHeldBack || !this.#link.reading) this.resume()
  }

  /** A client that has left stays as long as it is owed something; true when that is over. */
  #mayEnd(): boolean {
    if (this.#step === 'closing') return true
    if (!this.#peerEnded || this.#step === 'waiting' || this.#isOwed || this.#isHeldBack) return false
    this.close('client closed the connection', null)
    return true
  }

  /** The plane drains: a client without a transaction is told now, the others when theirs is over. */
  onDraining(): void {
    const inTransaction = this.#server !== null && this.#server.status !== STATUS.idle
    const isBusy = this.#step === 'waiting' || this.#isOwed || inTransaction || this.#requests.midMessage
    if (this.#step === 'closing' || (isBusy && this.#login === null)) return
    this.close('draining', FATAL('57P01', 'terminating connection: the router is shutting down'))
  }

  // ── ends

  violate(message: string): void {
    this.#host.countPlane('protocolErrors')
    this.close(`protocol violation: ${message}`, FATAL('08P01', message))
  }

  terminate(): void {
    if (!this.#outlives()) this.close('client said goodbye', null)
  }

  send(bytes: Uint8Array): void {
    if (!this.#link.closed && !this.#link.send(bytes)) this.close(this.#link.failure, null)
  }

  /** Ends the session; `fields`, if any, are the last words to the client. Harmless when it is closing already. */
  close(reason: string, fields: ErrorFields | null): void {
    if (this.#step === 'closing') return
    this.#login?.abandon()
    this.#login = null
    this.#leaveQueue()
    this.#enter('closing')
    this.#deadlines.stop()
    this.#inbox.release()
    this.#dedicated?.abandon()
    this.#dropServer()
    this.#requests.statements.clear()
    if (this.#counted) this.#host.countLogin(this, -1)
    const { slot, user, database, address } = this
    this.#host.log(fields === null ? 'debug' : 'info', 'client closed', {
      client: slot,
      user,
      database,
      address,
      reason,
    })
    this.#sayLastWords(fields)
  }

  #sayLastWords(fields: ErrorFields | null): void {
    if (fields !== null) writeError(writer.reset(), fields)
    if (fields === null || !this.#link.send(writer.bytes)) {
      this.#link.farewell()
      this.finish()
      return
    }
    this.#deadlines.lastWords()
    if (!this.#link.blocked) this.#link.hangUp()
    this.#link.resumeReading()
  }

  #dropServer(): void {
    const server = this.#server
    if (server === null) return
    const isOwed = this.#isOwed
    const isClean = !isOwed && server.status === STATUS.idle && !this.#requests.midMessage && this.#welcome === null
    const isDedicated = (this.#state.pins & (PIN.console | PIN.replication)) !== 0
    this.#server = null
    this.#memory.server(null)
    if (!isClean || isDedicated) {
      // Nobody wants the answer any more, and until it is there the shard works for nobody.
      if (isOwed && (this.#state.pins & PIN.replication) === 0) this.#host.cancelServer(server)
      server.close('its client is gone')
    } else if (this.#state.pins === 0) server.detach()
    else server.detachAndReset()
  }

  #leaveQueue(): void {
    if (this.fifo !== null) this.fifo.remove(this)
  }

  /** Last words are said, or nobody hears them. */
  finish(): void {
    if (this.#link.closed) return
    this.#deadlines.stop()
    this.#link.close()
    this.#memory.state('free')
    this.#host.clientGone(this)
  }

  /** The one setter. */
  #enter(step: ClientState): void {
    this.#step = step
    this.#memory.state(step)
  }
}

/** What a client is told as its backend's process id: its slot, and which of the slot's owners it is. */
export function cancelProcessId(slot: number, generation: number): number {
  return ((generation & 0x7ff) << 20) | (slot + 1)
}
