import { Inbox } from '../io/inbox.ts'
import { LINK_EMPTY, LINK_END, Link, READ_HEADROOM } from '../io/link.ts'
import { AF_INET, AF_UNIX } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { tuneSocket } from '../io/socket.ts'
import {
  CLIENT,
  CLIENT_F64,
  CLIENT_FLAG,
  CLIENT_STATE,
  CLIENT_TEXT,
  type ClientState,
  PIN,
} from '../memory/client-slots.ts'
import type { ClientFamily } from '../memory/keeper-protocol.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, writeError } from '../protocol/messages.ts'
import { MessageWriter } from '../protocol/writer.ts'
import type { DedicatedServer } from '../server/dedicated-server.ts'
import type { ReplySink, ServerLoss } from '../server/reply-relay.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { PoolWaiter, ServerPool } from '../server/server-pool.ts'
import type { ServerCredential } from '../server/server-target.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { FACT, type StatementFacts } from '../sql/statement-facts.ts'
import type { Fifo, FifoNode } from '../util/fifo.ts'
import { type ClientHost, ERROR, FATAL } from './client-host.ts'
import { ClientLogin } from './client-login.ts'
import { ClientMeter } from './client-meter.ts'
import { describeLoss, explainLoss } from './loss.ts'
import type { PoolChoice } from './pool-choice.ts'
import { RequestRelay, type RequestSession } from './request-relay.ts'
import { SessionDeadlines } from './session-deadlines.ts'
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
export class ClientSession implements ReplySink, PoolWaiter, RequestSession, FifoNode {
  readonly slot: number
  readonly generation: number
  readonly serial: number
  readonly isUnix: boolean
  readonly address: string
  readonly meter: ClientMeter
  readonly #host: ClientHost
  readonly #link: Link
  readonly #inbox: Inbox
  readonly #deadlines: SessionDeadlines
  readonly #i: number
  #state: ClientState = 'login'
  #login: ClientLogin | null
  #welcome: Welcome | null = null
  #requests: RequestRelay
  #server: ServerConnection | null = null
  #choice: PoolChoice | null = null
  #dedicated: DedicatedServer | null = null
  #counted = false
  #pins = 0
  /** The server connection that its open transaction was in is lost: until its end everything fails, as after an error. */
  #transactionLost = false
  /** The last request sent ends the transaction, if it succeeds. */
  #endsTransaction = false
  /** DISCARD ALL or RESET ALL is on its way, and nothing has failed since. */
  #resets = 0
  /** The client has closed its side and waits for answers at most. */
  #peerEnded = false
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  user = ''
  database = ''
  /** What the client's settings are, and what they were after login. */
  parameters: ParameterSet | null = null
  initialParameters: ParameterSet | null = null

  constructor(host: ClientHost, client: AcceptedClient, fd: OwnedFd) {
    this.#host = host
    this.slot = client.slot
    this.generation = client.generation
    this.serial = ++lastSerial
    this.isUnix = client.family === 1
    this.address = client.address
    const { clients } = host
    this.#i = client.slot * (clients.recordBytes >> 2)
    clients.clear(client.slot)
    clients.i32[this.#i + CLIENT.generation] = client.generation
    clients.i32[this.#i + CLIENT.plane] = host.planeIndex
    clients.i32[this.#i + CLIENT.remotePort] = client.remotePort
    clients.i32[this.#i + CLIENT.localPort] = client.localPort
    clients.i32[this.#i + CLIENT.flags] = this.isUnix ? CLIENT_FLAG.unix : 0
    this.meter = new ClientMeter(host, client.slot)
    this.#writeText('address', client.address)
    tuneSocket(fd, this.isUnix ? AF_UNIX : AF_INET)
    this.#inbox = new Inbox(host, clients, client.slot, CLIENT)
    this.#link = new Link(host, this, clients, client.slot, LINK_FIELDS, fd)
    this.#login = new ClientLogin(host, this)
    this.#requests = new RequestRelay(host, this)
    this.#deadlines = new SessionDeadlines(host, this)
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
    return this.#state
  }

  get pins(): number {
    return this.#pins
  }

  /** It has one of the slots beyond max_clients. */
  get isReserve(): boolean {
    return this.slot >= this.#host.values.limits.maxClients
  }

  get idleStatus(): number {
    return this.#transactionLost ? STATUS.failed : STATUS.idle
  }

  // ── login

  introduce(request: StartupRequest): void {
    this.user = request.user
    this.database = request.database
    this.#host.clients.i32[this.#i + CLIENT.protocolVersion] = request.minor
    this.#writeText('user', request.user)
    this.#writeText('database', request.database)
    this.#writeText('applicationName', request.settings.get('application_name') ?? '')
  }

  noteTls(text: string): void {
    const { i32 } = this.#host.clients
    i32[this.#i + CLIENT.flags] = (i32[this.#i + CLIENT.flags] ?? 0) | CLIENT_FLAG.tls
    this.#writeText('tls', text)
  }

  noteConsole(): void {
    const { i32 } = this.#host.clients
    i32[this.#i + CLIENT.flags] = (i32[this.#i + CLIENT.flags] ?? 0) | CLIENT_FLAG.console
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
    const { clients } = this.#host
    clients.i32[this.#i + CLIENT.cancelKeyBytes] = key.length
    key.copy(clients.bytes, this.slot * clients.recordBytes + CLIENT_TEXT.cancelKey.offset)
    return cancelProcessId(this.slot, this.generation)
  }

  awaitServer(pool: ServerPool): void {
    pool.wait(this)
  }

  awaitRoute(): void {
    this.#host.holdForRoute(this)
  }

  awaitDedicated(dedicated: DedicatedServer): void {
    this.#dedicated = dedicated
  }

  /** The client has got its ReadyForQuery. `choice` null: its server connection is its own for life. */
  welcomed(choice: PoolChoice | null, parameters: ParameterSet): void {
    this.#welcome = null
    this.#choice = choice
    this.parameters = choice === null ? null : parameters
    this.initialParameters = this.parameters
    this.#deadlines.idle()
    this.#enter(this.#server === null ? 'idle' : 'active')
    const pool = choice?.current()
    if (pool) this.#usePool(pool)
    this.resume()
  }

  #usePool(pool: ServerPool): void {
    this.#host.clients.i32[this.#i + CLIENT.pool] = pool.record + 1
    this.meter.usePool(pool.record)
  }

  /** For good: a console, a walsender. */
  adopt(server: ServerConnection): void {
    this.#server = server
    this.meter.assigned()
    this.#host.clients.i32[this.#i + CLIENT.server] = server.slot + 1
    server.attach(this, this.slot)
  }

  /** Gives back a server connection that was only needed to log in. */
  giveBack(): void {
    const server = this.#server
    this.#server = null
    this.#host.clients.i32[this.#i + CLIENT.server] = 0
    server?.detach()
  }

  // ── bytes from the client

  onReadable(): void {
    if (this.#login?.handshaking && !this.#login.handshake()) return
    for (;;) {
      if (this.#state === 'closing') {
        this.#drainClosing()
        return
      }
      const count = this.#link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.#ended(count === LINK_END ? 'client closed the connection' : this.#link.failure, count === LINK_END)
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

  /** Uses what waits in the inbox, then listens again. */
  resume(): void {
    if (this.#state === 'closing') return
    if (this.#inbox.bytes > 0) {
      this.#inbox.take()
      this.#consume(this.#inbox.start, this.#inbox.end)
    }
    if (this.#mayRead) this.#link.resumeReading()
  }

  get #mayRead(): boolean {
    if (this.#state === 'closing' || this.#state === 'waiting' || this.#peerEnded || this.#welcome !== null)
      return false
    return this.#server === null || !(this.#server.link.blocked || this.#server.queue.full)
  }

  #consume(start: number, end: number): void {
    const { inbound } = this.#host
    let used = start
    if (this.#login) used = this.#login.consume(inbound, start, end)
    else if (this.#welcome === null) used = this.#requests.consume(inbound, start, end)
    if (this.#state === 'closing') return
    if (used < end && !this.#inbox.keep(inbound, used, end)) {
      this.close(
        'out of buffers',
        FATAL('53200', 'out of memory for buffers', 'raise limits.connection_buffer or lower the load'),
      )
      return
    }
    if (this.#login === null && !this.#mayRead) this.#link.pauseReading()
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#host.countPlane('internalErrors')
    this.#host.log('error', 'internal error while serving a client', { client: this.slot, user: this.user, reason })
    this.close('internal error', FATAL('XX000', 'internal error in the router', "the router's log has the details"))
  }

  #ended(reason: string, orderly: boolean): void {
    if (orderly && this.#login === null && !this.#requests.midMessage && this.#outlives(this.#server)) return
    this.close(reason, null)
  }

  /** PostgreSQL too finishes what it was asked before it looks for more, and then finds nobody there. */
  #outlives(server: ServerConnection | null): boolean {
    if (this.#state !== 'waiting' && !owesAnswers(server)) return false
    this.#peerEnded = true
    this.#link.pauseReading()
    return true
  }

  /** After last words, reads and forgets what still comes, so that closing does not reset the connection under them. */
  #drainClosing(): void {
    for (;;) {
      const count = this.#link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.#finish()
        return
      }
      if (!this.#link.secure) return
    }
  }

  onDrained(): void {
    if (this.#state === 'closing') {
      this.#link.hangUp()
      return
    }
    this.#server?.link.resumeReading()
  }

  onServerDrained(): void {
    this.resume()
  }

  onProgress(): void {
    if (this.#link.reading || this.#server?.queue.full !== false) return
    this.resume()
  }

  onUndeliverable(): void {
    this.close(this.#link.failure, null)
  }

  // ── requests

  acquire(facts: StatementFacts | null): boolean {
    const pool = this.#choice?.current() ?? null
    this.meter.requestBegins()
    const server = pool?.checkout() ?? null
    if (server !== null) {
      this.#attach(server, facts)
      return true
    }
    this.#enter('waiting')
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
    pool.wait(this)
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
    this.#host.toServer.begin(server.link)
    this.#attach(server, null)
    if (!this.#host.toServer.flush()) {
      server.lose(server.link.failure, null)
      return
    }
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
    this.#afterRequest()
  }

  /** On `host.toServer`, which the caller has begun and flushes. */
  #attach(server: ServerConnection, facts: StatementFacts | null): void {
    this.adopt(server)
    this.#enter('active')
    this.#host.toServer.begin(server.link)
    const sql: string[] = []
    if (this.parameters !== null) {
      const difference = this.#host.parameters.difference(server.parameters, this.parameters)
      if (difference !== '') sql.push(difference)
    }
    // Another session's numbers are none of its business.
    if (facts !== null && (facts.flags & FACT.readsSequence) !== 0) sql.push('DISCARD SEQUENCES')
    if (this.#transactionLost)
      sql.push('BEGIN', 'ROLLBACK TO SAVEPOINT "the transaction was lost with its server connection"')
    if (sql.length > 0) server.relay.prepare(sql.join(';'), this.#host.toServer)
    if (this.parameters !== null) server.parameters = this.parameters
  }

  onPrepared(failure: ErrorFields | null): void {
    if (this.#welcome !== null) {
      this.#welcome.onPrepared(failure)
      return
    }
    if (this.#transactionLost) {
      this.#transactionLost = false
      return
    }
    if (failure === null) return
    this.close(
      'session settings cannot be restored',
      FATAL(failure.sqlstate, `cannot restore the session's settings: ${failure.message}`),
    )
  }

  noteFacts(facts: StatementFacts): void {
    const { flags } = facts
    this.#endsTransaction = (flags & (FACT.commits | FACT.rollsBack)) !== 0
    if (facts.pins !== 0) this.pin(facts.pins)
    if ((flags & FACT.sets) !== 0 && this.#setsUnreported(facts)) this.pin(PIN.setting)
    this.#resets |= flags & (FACT.discardsAll | FACT.resetsAll | FACT.deallocatesAll)
  }

  /** Settings that the server reports are followed by what it reports; the others only it knows. */
  #setsUnreported(facts: StatementFacts): boolean {
    const reported = this.#server?.baseline.values
    return facts.settings.some((name) => reported?.has(name) !== true)
  }

  pin(bits: number): void {
    if ((this.#pins | bits) === this.#pins) return
    if (this.#pins === 0) this.meter.pinned()
    this.#pins |= bits
    this.#host.clients.i32[this.#i + CLIENT.pins] = this.#pins
  }

  #unpin(): void {
    this.#pins &= PIN.sessionMode | PIN.console | PIN.replication
    this.#host.clients.i32[this.#i + CLIENT.pins] = this.#pins
    if (this.#pins === 0) this.meter.unpinned()
  }

  noteRequest(): void {
    this.meter.requestBegins()
    this.#host.clients.i32[this.#i + CLIENT.outstanding] = this.#server?.queue.outstanding ?? 0
    this.#deadlines.querying()
  }

  // ── answers

  onParameter(name: string, value: string): void {
    if (this.parameters !== null) this.parameters = this.#host.parameters.with(this.parameters, name, value)
    if (this.#server) this.#server.parameters = this.parameters ?? this.#server.parameters
    if (name === 'application_name') this.#writeText('applicationName', value)
  }

  onAnswered(entry: number): void {
    this.#requests.statements.answered(entry)
  }

  onSkipped(entry: number): void {
    this.#requests.statements.skipped(entry)
  }

  onError(): void {
    this.#resets = 0
    this.meter.error()
  }

  onReady(status: number): void {
    const server = this.#server as ServerConnection
    const { i32 } = this.#host.clients
    i32[this.#i + CLIENT.transactionStatus] = status
    i32[this.#i + CLIENT.outstanding] = server.queue.outstanding
    this.meter.answered(server.slot)
    if (this.#resets !== 0) this.#reset(server)
    if (server.queue.length > 0 || this.#requests.midMessage) return
    if (status !== STATUS.idle) {
      this.#deadlines.inTransaction()
      if (this.#peerEnded) this.close('client closed the connection', null)
      return
    }
    this.meter.transactionEnds(server.slot)
    this.#deadlines.idle()
    if (this.#pins === 0) this.#release(server)
    this.#afterRequest()
  }

  /** DISCARD ALL, RESET ALL or DEALLOCATE ALL has happened, on the server and so for the client. */
  #reset(server: ServerConnection): void {
    const done = this.#resets
    this.#resets = 0
    if ((done & (FACT.discardsAll | FACT.deallocatesAll)) !== 0) {
      server.statements.clear()
      this.#requests.statements.clear()
    }
    if ((done & (FACT.discardsAll | FACT.resetsAll)) !== 0) {
      // The server went back to its own start, the client expects its own.
      server.parameters = server.baseline
      this.parameters = this.initialParameters
    }
    if ((done & FACT.discardsAll) !== 0) this.#unpin()
  }

  #release(server: ServerConnection): void {
    this.#server = null
    this.#host.clients.i32[this.#i + CLIENT.server] = 0
    this.#enter('idle')
    server.detach()
  }

  #afterRequest(): void {
    if (this.#state === 'closing' || owesAnswers(this.#server) || this.#state === 'waiting') return
    if (this.#peerEnded && this.#inbox.bytes === 0) this.close('client closed the connection', null)
    else if (this.#host.draining) this.onDraining()
    else if (this.#inbox.bytes > 0 && !this.#link.reading) this.resume()
  }

  /** The plane drains: a client without a transaction is told now, the others when theirs is over. */
  onDraining(): void {
    const busy =
      this.#state === 'waiting' ||
      owesAnswers(this.#server) ||
      (this.#server !== null && this.#server.status !== STATUS.idle)
    if (this.#state === 'closing' || (busy && this.#login === null) || this.#requests.midMessage) return
    this.close('draining', FATAL('57P01', 'terminating connection: the router is shutting down'))
  }

  onServerLost(loss: ServerLoss): void {
    const server = this.#server as ServerConnection
    this.#server = null
    this.#host.clients.i32[this.#i + CLIENT.server] = 0
    if (this.#state === 'closing') return
    this.#requests.statements.abandon()
    const verdict = describeLoss(loss, {
      welcoming: this.#welcome !== null,
      pins: this.#pins,
      status: server.status,
      outstanding: server.queue.outstanding,
      unfinished: server.queue.length > 0 && server.queue.outstanding === 0,
      endsTransaction: this.#endsTransaction,
    })
    if (verdict.kind === 'close') {
      this.close(loss.reason, verdict.fields)
      return
    }
    this.#transactionLost = verdict.transactionLost
    this.#requests.abort(verdict.unfinished)
    this.meter.error()
    this.meter.abandoned()
    explainLoss(writer.reset(), verdict)
    this.#enter('idle')
    this.#deadlines.idle()
    this.send(writer.bytes)
    this.resume()
    this.#afterRequest()
  }

  // ── ends

  violate(message: string): void {
    this.#host.countPlane('protocolErrors')
    this.close(`protocol violation: ${message}`, FATAL('08P01', message))
  }

  terminate(): void {
    if (!this.#outlives(this.#server)) this.close('client said goodbye', null)
  }

  send(bytes: Uint8Array): void {
    if (!this.#link.closed && !this.#link.send(bytes)) this.close(this.#link.failure, null)
  }

  /** Ends the session; `fields`, if any, are the last words to the client. Harmless when it is closing already. */
  close(reason: string, fields: ErrorFields | null): void {
    if (this.#state === 'closing') return
    this.#login?.abandon()
    this.#login = null
    this.#leaveQueue()
    this.#enter('closing')
    this.#deadlines.stop()
    this.#inbox.release()
    this.#dropServer()
    this.#requests.statements.clear()
    if (this.#counted) this.#host.countLogin(this, -1)
    this.#dedicated?.abandon()
    this.#host.log(fields === null ? 'debug' : 'info', 'client closed', {
      client: this.slot,
      user: this.user,
      database: this.database,
      address: this.address,
      reason,
    })
    if (fields === null || this.#link.closed) {
      this.#link.farewell()
      this.#finish()
      return
    }
    writeError(writer.reset(), fields)
    if (!this.#link.send(writer.bytes)) {
      this.#finish()
      return
    }
    this.#link.resumeReading()
    this.#deadlines.lastWords(() => this.#finish())
    if (!this.#link.blocked) this.#link.hangUp()
  }

  #dropServer(): void {
    const server = this.#server
    this.#server = null
    if (server === null) return
    const clean = !owesAnswers(server) && server.status === STATUS.idle && !this.#requests.midMessage
    const dedicated = (this.#pins & (PIN.console | PIN.replication)) !== 0
    if (!clean || dedicated || this.#welcome !== null) server.close('its client is gone')
    else if (this.#pins === 0) server.detach()
    else server.detachAndReset()
  }

  #leaveQueue(): void {
    if (this.fifo !== null) this.fifo.remove(this)
    this.#host.unhold(this)
  }

  #finish(): void {
    if (this.#link.closed) return
    this.#deadlines.stop()
    this.#link.close()
    this.#host.clients.i32[this.#i + CLIENT.state] = CLIENT_STATE.free
    this.#host.clientGone(this)
  }

  /** The one setter. */
  #enter(state: ClientState): void {
    this.#state = state
    this.#host.clients.i32[this.#i + CLIENT.state] = CLIENT_STATE[state]
  }

  /** A request that waits is cancelled by its own client. */
  cancelWaiting(): void {
    if (this.#state === 'waiting') this.rejectRequest(ERROR('57014', 'canceling statement due to user request'))
  }

  #writeText(field: keyof typeof CLIENT_TEXT, text: string): void {
    const { offset, capacity } = CLIENT_TEXT[field]
    this.#host.clients.writeText(this.slot, offset, capacity, text)
  }
}

/** What a client is told as its backend's process id: its slot, and which of the slot's owners it is. */
export function cancelProcessId(slot: number, generation: number): number {
  return ((generation & 0x7ff) << 20) | (slot + 1)
}

function owesAnswers(server: ServerConnection | null): boolean {
  return server !== null && server.queue.length > 0
}
