import { Inbox } from '../io/inbox.ts'
import { LINK_EMPTY, LINK_END, Link, READ_HEADROOM } from '../io/link.ts'
import { describeErrno, SystemError } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { connectResult, localAddress, startConnect, tuneSocket } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { SERVER, SERVER_F64, SERVER_FLAG, SERVER_STATE, SERVER_TEXT, type ServerState } from '../memory/server-slots.ts'
import { type ErrorFields, TERMINATE } from '../protocol/messages.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { ServerStatements } from '../session/prepared-statements.ts'
import { Timer } from '../util/timer-wheel.ts'
import { ReplyQueue } from './reply-queue.ts'
import { ReplyRelay } from './reply-relay.ts'
import type { ReplySink } from './reply-sink.ts'
import { ServerHandshake } from './server-handshake.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerLogin } from './server-login.ts'
import type { ServerTarget } from './server-target.ts'

/** Who keeps server connections: told about each turn of their lives. */
export interface ServerOwner {
  /** Logged in, or free again: give it to somebody or keep it. */
  onServerReady(server: ServerConnection): void
  /** Gone, for whatever reason; its slot is free already. `login` fields when it never got ready. */
  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void
}

const LINK_FIELDS = { ...SERVER, ...SERVER_F64 }

/**
 * One connection to a PostgreSQL backend.
 *
 * - connecting: the socket is not open yet.
 * - login: TLS request, startup message, authentication; ends with the first ReadyForQuery.
 * - idle: nobody's. active: some client's, until `detach`.
 * - tested: proves that it is alive before somebody gets it. resetting: forgets what its last session left.
 * - cancelling: a cancel request for its last client may still arrive; nobody gets it until that is over.
 * - closing: gone.
 */
export class ServerConnection {
  readonly slot: number
  readonly target: ServerTarget
  readonly queue: ReplyQueue
  readonly statements: ServerStatements = new ServerStatements()
  readonly relay: ReplyRelay
  readonly createdAt: number
  readonly #host: ServerHost
  readonly #owner: ServerOwner
  readonly #inbox: Inbox
  readonly #link: Link
  readonly #deadline: Timer = new Timer(() => this.#late())
  readonly #i: number
  readonly #f: number
  #state: ServerState = 'connecting'
  #handshake: ServerHandshake | null = null
  #cancels = 0
  /** As in the slot, which belongs to somebody else by the time the client is told of a loss. */
  #status = 0
  #client: ReplySink | null = null
  /** What its settings are now, and what they were after login. */
  parameters: ParameterSet
  baseline: ParameterSet
  /** All that it reported at login, for the welcome of clients. */
  reported: ReadonlyMap<string, string> = new Map()
  /** Why it shall be closed when its client lets go of it; null: it may live on. */
  retired: string | null = null
  backendPid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  /** Whose unnamed prepared statement it has: the session's serial number, 0 for none. */
  unnamedOwner = 0

  /** Dials at once. Throws SystemError when the kernel refuses a socket (out of descriptors, no route). */
  constructor(host: ServerHost, owner: ServerOwner, target: ServerTarget, slot: number, poolRecord: number) {
    this.#host = host
    this.#owner = owner
    this.target = target
    this.slot = slot
    const { i32, f64, bytes, recordBytes } = host.servers
    this.#i = slot * (recordBytes >> 2)
    this.#f = slot * (recordBytes >> 3)
    const fd = dial(target)
    host.servers.clear(slot)
    i32[this.#i + SERVER.plane] = host.planeIndex
    i32[this.#i + SERVER.pool] = poolRecord + 1
    f64[this.#f + SERVER_F64.connectedAt] = host.now
    this.#writeText('address', target.shard.host)
    i32[this.#i + SERVER.remotePort] = target.shard.port
    const ring = slot * recordBytes + SERVER_TEXT.replies.offset
    this.queue = new ReplyQueue(bytes.subarray(ring, ring + SERVER_TEXT.replies.capacity))
    this.parameters = host.parameters.of([])
    this.baseline = this.parameters
    this.createdAt = host.now
    this.#inbox = new Inbox(host, host.servers, slot, SERVER)
    this.#link = new Link(host, this, host.servers, slot, LINK_FIELDS, fd)
    this.relay = new ReplyRelay(host, this)
    this.#enter('connecting')
    host.serverOpened(slot, fd)
    this.#link.watchConnect()
    if (host.timeouts.serverConnectMs > 0) host.timers.arm(this.#deadline, host.now + host.timeouts.serverConnectMs)
  }

  get state(): ServerState {
    return this.#state
  }

  get link(): Link {
    return this.#link
  }

  get client(): ReplySink | null {
    return this.#client
  }

  get idleSince(): number {
    return this.#host.servers.f64[this.#f + SERVER_F64.idleSince] ?? 0
  }

  /** Transaction status of the last ReadyForQuery. */
  get status(): number {
    return this.#status
  }

  /** How the server spells the name of a setting that it reports; null for one that it does not report. */
  reportedName(name: string): string | null {
    for (const reported of this.reported.keys()) if (reported.toLowerCase() === name) return reported
    return null
  }

  noteStatus(status: number): void {
    this.#status = status
    const { i32 } = this.#host.servers
    i32[this.#i + SERVER.transactionStatus] = status
    i32[this.#i + SERVER.outstanding] = this.queue.outstanding
    i32[this.#i + SERVER.prepared] = this.statements.size
  }

  countTransaction(): void {
    const at = this.#f + SERVER_F64.transactions
    this.#host.servers.f64[at] = (this.#host.servers.f64[at] ?? 0) + 1
  }

  attach(client: ReplySink, clientSlot: number): void {
    if (this.#state !== 'idle') throw new Error(`server connection: attach while ${this.#state}`)
    this.#client = client
    this.#host.servers.i32[this.#i + SERVER.client] = clientSlot + 1
    this.#host.servers.f64[this.#f + SERVER_F64.requestAt] = this.#host.now
    this.#enter('active')
  }

  /** Its client needs it no more and left nothing in it. */
  detach(): void {
    this.#letGo()
    if (this.retired !== null) this.close(this.retired)
    else if (this.#cancels > 0) this.#enter('cancelling')
    else this.#becomeIdle()
  }

  /** Its client is gone and may have left anything in it: forget all of it first. */
  detachAndReset(): void {
    this.#letGo()
    if (this.retired !== null) {
      this.close(this.retired)
      return
    }
    this.#enter('resetting')
    this.#ask('DISCARD ALL')
  }

  /** Asks whether it is alive; `onServerReady` follows, or `onServerClosed`. */
  test(): void {
    this.#enter('tested')
    this.#ask('')
  }

  /** Between these two nobody else may get it: the cancel would hit the wrong query. */
  beginCancel(): void {
    this.#cancels++
  }

  endCancel(): void {
    this.#cancels--
    if (this.#cancels === 0 && this.#state === 'cancelling') this.#becomeIdle()
  }

  /** Polite when it is idle. Harmless when closed already. The client, if any, is told that it lost it. */
  close(reason: string): void {
    if (this.#state === 'closing') return
    if (this.#state === 'idle' || this.#state === 'cancelling') this.#link.send(TERMINATE)
    this.#end(reason, null, null)
  }

  /** The shard or the way to it has failed; `fields`: the server's own last words. Harmless when closed already. */
  lose(reason: string, fields: ErrorFields | null): void {
    const isLoggedIn = this.#handshake === null && this.#state !== 'connecting'
    this.#end(reason, fields, isLoggedIn ? null : (fields ?? connectFailure(this, reason)))
  }

  /** `loginFailure`: why it never got ready, if that is the shard's doing. */
  #end(reason: string, fields: ErrorFields | null, loginFailure: ErrorFields | null): void {
    if (this.#state === 'closing') return
    const client = this.#client
    const { midMessage } = this.relay
    this.#enter('closing')
    this.#host.timers.disarm(this.#deadline)
    this.#inbox.release()
    this.#link.close()
    this.#host.servers.clear(this.slot)
    this.#host.freeServerSlot(this.slot)
    this.#client = null
    this.#owner.onServerClosed(this, reason, loginFailure)
    client?.onServerLost({ reason, fields, midMessage })
  }

  onReadable(): void {
    if (this.#state === 'connecting') {
      this.#connected()
      return
    }
    if (this.#handshake?.securing) {
      this.#handshake.secure()
      if (this.#handshake?.securing || this.#link.closed) return
    }
    for (;;) {
      const count = this.#link.read()
      if (count === LINK_EMPTY) return
      if (count <= 0) {
        this.lose(count === LINK_END ? 'the server closed the connection' : this.#link.failure, this.relay.lastWords)
        return
      }
      let start = READ_HEADROOM
      if (this.#inbox.bytes > 0) {
        this.#inbox.take()
        start = this.#inbox.start
      }
      this.#consume(start, READ_HEADROOM + count)
      // A plain socket that has more says so again; TLS keeps what it decrypted.
      if (this.#link.closed || !this.#link.reading || !this.#link.secure || this.#handshake?.securing) return
    }
  }

  onFault(error: unknown): void {
    const reason = error instanceof Error ? (error.stack ?? error.message) : String(error)
    this.#host.log('error', 'internal error while serving a server connection', { server: this.slot, reason })
    this.lose('internal error in the router', null)
  }

  onLost(): void {
    this.lose(this.#link.failure, this.relay.lastWords)
  }

  onPeerEnd(): void {
    // Not asked for.
  }

  onHangUp(): void {
    // Its last words are read when its client takes bytes again.
  }

  onDrained(): void {
    if (this.#state === 'connecting') this.#connected()
    else this.#client?.onServerDrained()
  }

  #consume(start: number, end: number): void {
    const { inbound } = this.#host
    const used =
      this.#handshake === null ? this.relay.consume(inbound, start, end) : this.#handshake.consume(start, end)
    if (this.#state === 'closing' || used === end) return
    if (!this.#inbox.keep(inbound, used, end)) this.lose('no buffer left for a part of a message', null)
  }

  #connected(): void {
    const error = connectResult(this.#link.fd)
    if (error !== 0) {
      this.lose(describeErrno('connect', error), null)
      return
    }
    const { shard } = this.target
    if (shard.address !== null) tuneSocket(this.#link.fd, parseSocketAddress(shard.address, shard.port).family)
    this.#host.servers.i32[this.#i + SERVER.localPort] = localAddress(this.#link.fd).port
    this.#enter('login')
    this.#link.watchBytes()
    this.#handshake = new ServerHandshake(this.#host, this, this.target)
    this.#handshake.start()
  }

  onSecured(tls: string): void {
    const { i32 } = this.#host.servers
    i32[this.#i + SERVER.flags] = (i32[this.#i + SERVER.flags] ?? 0) | SERVER_FLAG.tls
    this.#writeText('tls', tls)
  }

  onRefused(reason: string, fields: ErrorFields | null): void {
    this.lose(reason, fields)
  }

  onLoggedIn(login: ServerLogin): void {
    this.#handshake = null
    this.#host.timers.disarm(this.#deadline)
    this.reported = login.reported
    this.backendPid = login.backendPid
    this.cancelKey = login.cancelKey
    this.baseline = this.#host.parameters.of(login.reported)
    this.parameters = this.baseline
    this.#host.servers.i32[this.#i + SERVER.backendPid] = login.backendPid
    this.#writeText('serverVersion', login.reported.get('server_version') ?? '')
    this.#becomeIdle()
  }

  /** A question of our own; its whole answer is swallowed. */
  #ask(sql: string): void {
    if (this.#host.timeouts.serverConnectMs > 0) {
      this.#host.timers.arm(this.#deadline, this.#host.now + this.#host.timeouts.serverConnectMs)
    }
    if (!this.relay.ask(sql)) this.lose(this.#link.failure, null)
  }

  /** The answer to `#ask` is complete. */
  onAnswered(failure: ErrorFields | null): void {
    this.#host.timers.disarm(this.#deadline)
    if (failure !== null) {
      this.lose(`reset failed: ${failure.message}`, null)
      return
    }
    if (this.#state === 'resetting') {
      this.parameters = this.baseline
      this.statements.clear()
      this.unnamedOwner = 0
    }
    if (this.#cancels > 0) this.#enter('cancelling')
    else this.#becomeIdle()
  }

  #letGo(): void {
    this.#client = null
    this.#host.servers.i32[this.#i + SERVER.client] = 0
    this.#host.servers.f64[this.#f + SERVER_F64.requestAt] = 0
    // A client that did not read held it back.
    this.#link.resumeReading()
  }

  #becomeIdle(): void {
    if (this.#state === 'closing') return
    this.#host.servers.f64[this.#f + SERVER_F64.idleSince] = this.#host.now
    this.#enter('idle')
    this.#owner.onServerReady(this)
  }

  #writeText(field: 'address' | 'tls' | 'serverVersion', text: string): void {
    const { offset, capacity } = SERVER_TEXT[field]
    this.#host.servers.writeText(this.slot, offset, capacity, text)
  }

  #late(): void {
    this.lose(`no answer from the shard while ${this.#state} within the time allowed`, null)
  }

  #enter(state: ServerState): void {
    this.#state = state
    this.#host.servers.i32[this.#i + SERVER.state] = SERVER_STATE[state]
  }
}

function dial(target: ServerTarget): OwnedFd {
  const { address, port, host } = target.shard
  if (address === null) throw new SystemError(`resolve ${host}`, 0)
  return startConnect(parseSocketAddress(address, port))
}

function connectFailure(server: ServerConnection, reason: string): ErrorFields {
  const { shard } = server.target
  return { severity: 'FATAL', sqlstate: '08001', message: `cannot connect to shard "${shard.name}": ${reason}` }
}
