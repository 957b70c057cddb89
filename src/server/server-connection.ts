import { kernelPosition } from '../io/kernel-position.ts'
import type { Link } from '../io/link.ts'
import { describeErrno, type NativeBuffer } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { connectResult, localAddress, tuneSocket } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { TlsSession } from '../io/tls-session.ts'
import { SERVER_SECTION, type ServerState } from '../memory/server-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, SYNC, TERMINATE } from '../protocol/messages.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { ServerStatements } from '../session/prepared-statements.ts'
import type { Dialect } from '../session/setting-statements.ts'
import { Timer } from '../util/timer-wheel.ts'
import { NO_ADMISSION, type PoolAdmission } from './pool-admission.ts'
import type { ReadAttempt } from './read-attempt.ts'
import { REPLY, REPLY_RING_BYTES, ReplyQueue, SWALLOW } from './reply-queue.ts'
import { ReplyRelay } from './reply-relay.ts'
import type { ReplySink } from './reply-sink.ts'
import { SentRecord } from './sent-record.ts'
import { type HandshakeOwner, ServerHandshake } from './server-handshake.ts'
import type { ServerHost } from './server-host.ts'
import type { ServerKind } from './server-kind.ts'
import type { LoginResult } from './server-login.ts'
import { type ReadServer, ServerReader } from './server-reader.ts'
import { ServerRecord, savedState } from './server-record.ts'
import { ServerSlot } from './server-slot.ts'
import type { ServerTarget } from './server-target.ts'
import { dialShard } from './shard-dial.ts'
import { TransactionMark } from './transaction-mark.ts'

/** An unnamed statement that is none of its session's. */
export const UNKNOWN_OWNER = -1

/** A server connection that another process has had. */
export interface KeptServer {
  readonly fd: OwnedFd
  /** The i32 of the server slots where its section begins. */
  readonly section: number
}

/** Who keeps server connections: told about each turn of their lives. */
export interface ServerOwner {
  readonly kind: ServerKind
  /** Logged in, or free again: give it to somebody or keep it. */
  onServerReady(server: ServerConnection): void
  /** Gone, for whatever reason; its slot is free already. `login` fields when it never got ready. */
  onServerClosed(server: ServerConnection, reason: string, login: ErrorFields | null): void
}

/** Who has a connection that listens and serves no client. */
export interface ServerListener {
  /** `message` is the whole NotificationResponse, to be used during the call. */
  onNotification(channel: string, message: Buffer): void
  /** The answer to `ask` is complete. */
  onAnswered(failure: ErrorFields | null): void
}

/**
 * One connection to a PostgreSQL backend.
 *
 * - connecting: the socket is not open yet.
 * - login: TLS request, startup message, authentication; ends with the first ReadyForQuery.
 * - idle: nobody's. active: some client's, until `detach`.
 * - listening: serves no client and never will; hears notifications for all of them.
 * - tested: proves that it is alive before somebody gets it. resetting: forgets what its last session left.
 * - unlistening: forgets the channels that its last session listened to.
 * - cancelling: a cancel request for its last client may still arrive; nobody gets it until that is over.
 * - closing: gone.
 */
export class ServerConnection implements ReadServer, HandshakeOwner {
  readonly slot: number
  readonly target: ServerTarget
  readonly queue: ReplyQueue
  readonly statements: ServerStatements = new ServerStatements()
  readonly relay: ReplyRelay
  /** The shard, or the way to it, has ended it. */
  isLost = false
  /** Somebody wants no answer to that any more. */
  isCancelled = false
  /** What its client has asked and is not answered. */
  readonly sent: SentRecord = new SentRecord()
  /** What it has said of the transaction that is open. */
  readonly mark: TransactionMark = new TransactionMark()
  /** Its settings where `sent` begins. */
  startedWith: ParameterSet | null = null
  /** Something of the transaction that is open may have written. */
  hasWritten = false
  readonly link: Link
  readonly createdAt: number
  readonly #host: ServerHost
  readonly #owner: ServerOwner
  readonly #reader: ServerReader
  readonly #memory: ServerSlot
  readonly #record: ServerRecord
  readonly #deadline: Timer = new Timer(() => this.#late())
  #state: ServerState = 'connecting'
  #handshake: ServerHandshake | null = null
  #cancels = 0
  /** As in the slot, which belongs to somebody else by the time the client is told of a loss. */
  #status = 0
  #client: ReplySink | null = null
  #listener: ServerListener | null = null
  /** What its settings are now, and what they were after login. */
  parameters: ParameterSet
  baseline: ParameterSet
  /** Serial number of a session that may have settings there that nobody knows of; 0: none has. */
  hidesSettingsOf = 0
  /** When its functions were last looked through for settings that they make. */
  scannedAt = Number.NEGATIVE_INFINITY
  /** How settings are put there. */
  dialect: Dialect = { user: '', isSuperuser: false, isRaw: false }
  /** All that it reported at login, for the welcome of clients. */
  reported: ReadonlyMap<string, string> = new Map()
  /** Why it shall be closed when its client lets go of it; null: it may live on. */
  retired: string | null = null
  /** Names under which it has statements that belong to nobody, left by a refused Parse. */
  strays: Set<string> | null = null
  /** Its session may have made it listen to something. */
  listens = false
  /** What it was asked and may have to be asked of the primary; null: it never was asked such a thing. */
  attempt: ReadAttempt | null = null
  /** What its slot counts against. */
  admission: PoolAdmission = NO_ADMISSION
  /** Code of the tier whose slot its client has; −1: it counts against none. */
  tier = -1
  backendPid = 0
  cancelKey: Buffer = Buffer.alloc(0)
  /** Whose unnamed prepared statement it may have: the session's serial number, 0 for none, or UNKNOWN_OWNER. */
  unnamedOwner = 0

  /**
   * Dials at once, unless it is `kept`. Throws SystemError when the kernel refuses a socket (out of descriptors, no route), and
   * Error when what is kept cannot be read.
   */
  constructor(
    host: ServerHost,
    owner: ServerOwner,
    target: ServerTarget,
    slot: number,
    poolRecord: number,
    kept: KeptServer | null = null,
  ) {
    this.#host = host
    this.#owner = owner
    this.target = target
    this.slot = slot
    const fd = kept?.fd ?? dialShard(target.shard)
    this.#memory = new ServerSlot(host, slot, target.shard, poolRecord, kept !== null)
    this.queue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
    this.parameters = host.parameters.of([])
    this.baseline = this.parameters
    this.createdAt = kept === null ? host.now : this.#memory.createdAt
    this.relay = new ReplyRelay(host, this)
    this.#record = new ServerRecord(host, this)
    if (kept === null) this.#enter('connecting')
    this.#reader = new ServerReader(host, this, fd, kept !== null)
    this.link = this.#reader.link
    if (kept !== null) {
      this.#goOnFrom(kept)
      return
    }
    host.serverOpened(slot, fd)
    this.#armDeadline()
  }

  get #tlsSession(): TlsSession {
    return new TlsSession(this.#host.serverTlsRecords, this.slot, this.#host.arena)
  }

  /** As it was in another process. Its client, if it has one, follows with `reattach`. */
  #goOnFrom({ section }: KeptServer): void {
    const { servers } = this.#host
    this.#known(this.#memory.login)
    this.#record.restore(section)
    this.#status = servers.i32[section + SERVER_SECTION.status] as number
    this.#enter(savedState(servers, section))
    if (this.#state === 'tested' || this.#state === 'resetting' || this.#state === 'unlistening') this.#armDeadline()
    this.link.touch()
    if (this.#memory.isTls) this.link.resumeTls(this.#tlsSession, 'client')
    this.#reader.replay()
  }

  /** Its client in another process was this one's. */
  reattach(client: ReplySink): void {
    if (this.#state !== 'active') throw new Error(`server connection: reattach while ${this.#state}`)
    this.#client = client
  }

  /** The same for whoever listens on it. */
  relisten(listener: ServerListener): void {
    if (this.#state !== 'listening') throw new Error(`server connection: relisten while ${this.#state}`)
    this.#listener = listener
  }

  /** A cancel request may still hit what it does next. */
  get isCancelling(): boolean {
    return this.#cancels > 0
  }

  save(section: number, isTorn: boolean): void {
    // What its client has got of what comes once more is known to nobody else.
    this.#record.save(section, isTorn || this.relay.delivery.isEchoing)
  }

  get state(): ServerState {
    return this.#state
  }

  get handshake(): ServerHandshake | null {
    return this.#handshake
  }

  get client(): ReplySink | null {
    return this.#client
  }

  get listener(): ServerListener | null {
    return this.#listener
  }

  get idleSince(): number {
    return this.#memory.idleSince
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

  /** A transaction is open, be it the implicit one of an extended query without its Sync. */
  get inTransaction(): boolean {
    return this.#status !== STATUS.idle || this.queue.unfinished
  }

  /** Something that its client asked is not answered yet. */
  get isAsked(): boolean {
    return this.queue.owing || this.queue.unfinished
  }

  /** `source[start, end)` of its client's was passed on; `isFirst`: all that was asked before is answered. */
  noteSent(source: NativeBuffer, start: number, end: number, isFirst: boolean): void {
    if (isFirst) {
      this.relay.isDelivered = false
      this.isCancelled = false
      const isIdle = this.#status === STATUS.idle
      if (isIdle) this.hasWritten = false
      if (this.sent.begin(isIdle)) {
        this.relay.delivery.begin()
        this.startedWith = this.parameters
      }
    }
    this.sent.note(source, start, end)
  }

  noteStatus(status: number): void {
    this.#status = status
    this.#memory.answered(status, this.queue.outstanding, this.statements.size)
  }

  attach(client: ReplySink, clientSlot: number): void {
    if (this.#state !== 'idle') throw new Error(`server connection: attach while ${this.#state}`)
    this.#client = client
    this.#memory.attached(clientSlot)
    this.#enter('active')
  }

  /** Its client needs it no more and left nothing in it. */
  detach(): void {
    this.#letGo()
    if (this.retired !== null) this.close(this.retired)
    else if (this.listens) {
      this.#enter('unlistening')
      this.ask('UNLISTEN *')
    } else this.#endUse()
  }

  /** From now on it serves nobody; `listener` hears of notifications, and gets the answers to `ask`. */
  listen(listener: ServerListener): void {
    if (this.#state !== 'idle') throw new Error(`server connection: listen while ${this.#state}`)
    this.#listener = listener
    this.#enter('listening')
  }

  /** Its client is gone and may have left anything in it: forget all of it first. */
  detachAndReset(): void {
    this.#letGo()
    if (this.retired !== null) {
      this.close(this.retired)
      return
    }
    this.#enter('resetting')
    if (this.#rollBack()) this.ask('DISCARD ALL')
  }

  /**
   * Undoes what its last client has begun, be it an explicit transaction or messages without a Sync, which would commit them. Behind an
   * error the server heeds nothing but a Sync. False: it is closed by now.
   */
  #rollBack(): boolean {
    const { unfinished, skipping } = this.queue
    if (skipping) {
      this.queue.push(REPLY.sync | SWALLOW)
      this.link.send(SYNC)
    }
    if (this.#status !== STATUS.idle || (unfinished && !skipping)) this.ask('ROLLBACK')
    return !this.link.closed
  }

  /** Asks whether it is alive; `onServerReady` follows, or `onServerClosed`. */
  test(): void {
    this.#enter('tested')
    this.ask('')
  }

  /** Between these two nobody else may get it: the cancel would hit the wrong query. */
  beginCancel(): void {
    this.isCancelled = true
    this.#cancels++
    // Whoever goes on with it has to know.
    this.link.touch()
  }

  endCancel(): void {
    this.#cancels--
    if (!this.link.closed) this.link.touch()
    if (this.#cancels === 0 && this.#state === 'cancelling') this.#becomeIdle()
  }

  /** Polite when it is idle. Harmless when closed already. The client, if any, is told that it lost it. */
  close(reason: string): void {
    if (this.#state === 'closing') return
    const isAtRest = this.#state === 'idle' || this.#state === 'cancelling' || this.#state === 'listening'
    if (isAtRest) this.link.send(TERMINATE)
    this.#end(reason, null, null)
  }

  /** The shard or the way to it has failed; `fields`: the server's own last words. Harmless when closed already. */
  lose(reason: string, fields: ErrorFields | null): void {
    this.isLost = true
    const isLoggedIn = this.#handshake === null && this.#state !== 'connecting'
    this.#end(reason, fields, isLoggedIn ? null : (fields ?? connectFailure(this, reason)))
  }

  /** Bytes still to come of a message whose beginning its client has. */
  remains(bytes: number): void {
    if (this.#state !== 'closing') this.#memory.remains(bytes)
  }

  /** `loginFailure`: why it never got ready, if that is the shard's doing. */
  #end(reason: string, fields: ErrorFields | null, loginFailure: ErrorFields | null): void {
    if (this.#state === 'closing') return
    const client = this.#client
    const { midMessage } = this.relay
    // The queue lies in the slot, which is somebody else's soon.
    const { promised, unfinished } = this.queue
    this.#enter('closing')
    this.#host.timers.disarm(this.#deadline)
    this.#reader.close()
    this.#record.release()
    this.#memory.free()
    this.#client = null
    this.#owner.onServerClosed(this, reason, loginFailure)
    client?.onServerLost({ reason, fields, midMessage, promised, unfinished })
  }

  onConnected(): void {
    const error = connectResult(this.link.fd)
    if (error !== 0) {
      this.lose(describeErrno('connect', error), null)
      return
    }
    const { shard } = this.target
    if (shard.address !== null) tuneSocket(this.link.fd, parseSocketAddress(shard.address, shard.port).family)
    this.#memory.connected(localAddress(this.link.fd).port, kernelPosition(this.link.fd)?.written ?? 0)
    this.#enter('login')
    this.link.watchBytes()
    this.#handshake = new ServerHandshake(this.#host, this, this.target)
    this.#handshake.start()
  }

  onSecured(tls: string): void {
    this.#memory.secured(tls)
    this.link.stream.carryOn(this.#tlsSession)
  }

  onRefused(reason: string, fields: ErrorFields | null): void {
    this.lose(reason, fields)
  }

  onLoggedIn(login: LoginResult): void {
    this.#handshake = null
    this.#host.timers.disarm(this.#deadline)
    this.#known(login)
    this.parameters = this.baseline
    this.#status = STATUS.idle
    this.#memory.loggedIn(login, this.target, this.#owner.kind)
    this.#becomeIdle()
  }

  #known({ reported, backendPid, cancelKey }: LoginResult): void {
    this.reported = reported
    this.backendPid = backendPid
    this.cancelKey = cancelKey
    this.baseline = this.#host.parameters.of(reported)
    this.dialect = {
      user: this.target.user,
      isSuperuser: reported.get('is_superuser') === 'on',
      isRaw: reported.get('server_encoding') === 'SQL_ASCII',
    }
  }

  /** A question of our own; its whole answer is swallowed. */
  ask(sql: string): void {
    this.#armDeadline()
    if (!this.relay.questions.ask(sql)) this.lose(this.link.failure, null)
  }

  #armDeadline(): void {
    if (this.#host.timeouts.serverConnectMs > 0) {
      this.#host.timers.arm(this.#deadline, this.#host.now + this.#host.timeouts.serverConnectMs)
    }
  }

  /** The answer to `ask` is complete. */
  onAnswered(failure: ErrorFields | null): void {
    this.#host.timers.disarm(this.#deadline)
    if (this.#listener !== null) {
      this.#listener.onAnswered(failure)
      return
    }
    if (failure !== null) {
      this.lose(`reset failed: ${failure.message}`, null)
      return
    }
    if (this.#state === 'resetting') {
      this.parameters = this.baseline
      this.hidesSettingsOf = 0
      this.statements.clear()
      this.unnamedOwner = 0
    }
    this.listens = false
    this.#endUse()
  }

  /**
   * The session with this serial number is about to drop the unnamed statement. In an extended query that may be skipped,
   * and then it is there still.
   */
  dropUnnamed(serial: number): void {
    if (!this.queue.unfinished) this.unnamedOwner = 0
    else if (this.unnamedOwner !== 0 && this.unnamedOwner !== serial) this.unnamedOwner = UNKNOWN_OWNER
  }

  #endUse(): void {
    if (this.#cancels > 0) this.#enter('cancelling')
    else this.#becomeIdle()
  }

  #letGo(): void {
    this.#client = null
    this.relay.delivery.forget()
    this.sent.forget()
    this.#memory.detached()
    // A client that did not read held it back.
    this.link.resumeReading()
  }

  #becomeIdle(): void {
    if (this.#state === 'closing') return
    this.#memory.idle()
    this.#enter('idle')
    this.#owner.onServerReady(this)
  }

  #late(): void {
    this.lose(`no answer from the shard while ${this.#state} within the time allowed`, null)
  }

  #enter(state: ServerState): void {
    this.#state = state
    this.#memory.state(state)
    this.link?.touch()
  }
}

function connectFailure(server: ServerConnection, reason: string): ErrorFields {
  const { shard } = server.target
  return { severity: 'FATAL', sqlstate: '08001', message: `cannot connect to shard "${shard.name}": ${reason}` }
}
