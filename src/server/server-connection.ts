import type { Link } from '../io/link.ts'
import { resumeTls } from '../io/link-tls.ts'
import type { NativeBuffer } from '../io/native.ts'
import { SERVER_SECTION, type ServerState } from '../memory/server-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type ErrorFields, TERMINATE } from '../protocol/messages.ts'
import type { Parallelism } from '../session/parallel-workers.ts'
import type { ParameterSet } from '../session/parameters.ts'
import { ServerStatements } from '../session/prepared-statements.ts'
import type { KeptServer } from './kept-server.ts'
import { NO_ADMISSION, type PoolAdmission } from './pool-admission.ts'
import { REPLY_RING_BYTES, ReplyQueue } from './reply-queue.ts'
import { ReplyRelay } from './reply-relay.ts'
import type { ReplySink } from './reply-sink.ts'
import type { ServerHost } from './server-host.ts'
import { ServerIdentity, UNKNOWN_SERVER } from './server-identity.ts'
import { ServerLifecycle } from './server-lifecycle.ts'
import type { ServerListener } from './server-listener.ts'
import type { LoginResult } from './server-login.ts'
import { ServerOpening } from './server-opening.ts'
import type { ServerOwner } from './server-owner.ts'
import { type ReadServer, ServerReader } from './server-reader.ts'
import { ServerRecord, savedState } from './server-record.ts'
import { ServerSlot } from './server-slot.ts'
import type { ServerTarget } from './server-target.ts'
import { ServerWork } from './server-work.ts'
import { dialShard } from './shard-dial.ts'

/**
 * One connection to a PostgreSQL backend: who has it, what its session has, and its end. Its states are those of
 * `ServerLifecycle`.
 */
export class ServerConnection implements ReadServer {
  readonly slot: number
  readonly target: ServerTarget
  readonly queue: ReplyQueue
  readonly statements: ServerStatements = new ServerStatements()
  readonly relay: ReplyRelay
  /** What it does for its client. */
  readonly work: ServerWork = new ServerWork()
  readonly link: Link
  readonly life: ServerLifecycle
  readonly record: ServerRecord
  readonly createdAt: number
  readonly #host: ServerHost
  readonly #owner: ServerOwner
  readonly #reader: ServerReader
  readonly #memory: ServerSlot
  #opening: ServerOpening | null
  /** As in the slot, which belongs to somebody else by the time the client is told of a loss. */
  #status = 0
  #client: ReplySink | null = null
  #listener: ServerListener | null = null
  /** The shard, or the way to it, has ended it. */
  isLost = false
  identity: ServerIdentity = UNKNOWN_SERVER
  /** What its settings are now, and what they were after login. */
  parameters: ParameterSet
  baseline: ParameterSet
  /** Serial number of a session that may have settings there that nobody knows of; 0: none has. */
  hidesSettingsOf = 0
  /** Whether a tier has taken its parallel workers away. */
  parallelism: Parallelism = 'own'
  /** When its functions were last looked through for settings that they make. */
  scannedAt = Number.NEGATIVE_INFINITY
  /** Why it shall be closed when its client lets go of it; null: it may live on. */
  retired: string | null = null
  /**
   * Names under which it has statements that belong to nobody, left by a refused Parse; nobody else may find them. Not null before it
   * is reset, as a Close of them that was sent may have been skipped.
   */
  strays: Set<string> | null = null
  /** Its session may have made it listen to something. */
  listens = false
  /** What its slot counts against. */
  admission: PoolAdmission = NO_ADMISSION
  /** Code of the tier whose slot its client has; −1: it counts against none. */
  tier = -1
  /** What it has that slot as. */
  claim = -1
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
    this.record = new ServerRecord(host, this)
    const state = kept === null ? 'connecting' : savedState(host.servers, kept.section)
    this.life = new ServerLifecycle(host, this, this.#memory, state)
    this.#opening = kept === null ? new ServerOpening(host, this, this.#memory) : null
    this.#reader = new ServerReader(host, this, fd, kept !== null)
    this.link = this.#reader.link
    if (kept === null) host.serverOpened(slot, fd)
    else this.#goOnFrom(kept)
    this.life.begin()
  }

  /** As it was in another process. Its client, if it has one, follows with `reattach`. */
  #goOnFrom({ section }: KeptServer): void {
    this.#know(this.#memory.login)
    this.record.restore(section)
    this.#status = this.#host.servers.i32[section + SERVER_SECTION.status] as number
    this.link.touch()
    if (this.#memory.isTls) resumeTls(this.#host.deferred, this.link, this.#memory.tlsSession, 'client')
    this.#reader.replay()
  }

  /** Its client in another process was this one's. */
  reattach(client: ReplySink): void {
    if (this.state !== 'active') throw new Error(`server connection: reattach while ${this.state}`)
    this.#client = client
  }

  /** The same for whoever listens on it. */
  relisten(listener: ServerListener): void {
    if (this.state !== 'listening') throw new Error(`server connection: relisten while ${this.state}`)
    this.#listener = listener
  }

  get state(): ServerState {
    return this.life.state
  }

  /** Null once it is logged in. */
  get opening(): ServerOpening | null {
    return this.#opening
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
      this.relay.answers.isDelivered = false
      if (this.work.begin(this.#status === STATUS.idle, this.parameters)) this.relay.delivery.begin()
    }
    this.work.sent.note(source, start, end)
  }

  noteStatus(status: number): void {
    this.#status = status
    this.#memory.answered(status, this.queue.outstanding, this.statements.size)
  }

  attach(client: ReplySink, clientSlot: number): void {
    this.life.attach()
    this.#client = client
    this.#memory.attached(clientSlot)
  }

  /** Its client needs it no more and left nothing in it, but for statements that are nobody's. */
  detach(): void {
    this.#letGo()
    if (this.retired !== null) this.close(this.retired)
    else if (this.strays !== null) this.life.reset()
    else if (this.listens) this.life.unlisten()
    else this.life.release()
  }

  /** Its client is gone and may have left anything in it: forget all of it first. */
  detachAndReset(): void {
    this.#letGo()
    if (this.retired !== null) this.close(this.retired)
    else this.life.reset()
  }

  /** From now on it serves nobody; `listener` hears of notifications, and gets the answers to `ask`. */
  listen(listener: ServerListener): void {
    this.life.listen()
    this.#listener = listener
  }

  /** Polite when it is idle. Harmless when closed already. The client, if any, is told that it lost it. */
  close(reason: string): void {
    const { state } = this
    if (state === 'idle' || state === 'cancelling' || state === 'listening') this.link.send(TERMINATE)
    this.#end(reason, null, null)
  }

  /** The shard or the way to it has failed; `fields`: the server's own last words. Harmless when closed already. */
  lose(reason: string, fields: ErrorFields | null): void {
    this.isLost = true
    this.#end(reason, fields, this.#opening === null ? null : this.#opening.failure(reason, fields))
  }

  /** Bytes still to come of a message whose beginning its client has. */
  remains(bytes: number): void {
    if (this.state !== 'closing') this.#memory.remains(bytes)
  }

  /** `loginFailure`: why it never got ready, if that is the shard's doing. */
  #end(reason: string, fields: ErrorFields | null, loginFailure: ErrorFields | null): void {
    if (!this.life.end()) return
    const client = this.#client
    const { midMessage } = this.relay
    // The queue lies in the slot, which is somebody else's soon.
    const { promised, unfinished } = this.queue
    this.#reader.close()
    this.record.release()
    this.#memory.free()
    this.#client = null
    this.#owner.onServerClosed(this, reason, loginFailure)
    client?.onServerLost({ reason, fields, midMessage, promised, unfinished })
  }

  onLoggedIn(login: LoginResult): void {
    this.#opening = null
    this.#know(login)
    this.parameters = this.baseline
    this.#status = STATUS.idle
    this.#memory.loggedIn(login, this.target, this.#owner.kind)
    this.life.loggedIn()
  }

  #know(login: LoginResult): void {
    this.identity = new ServerIdentity(login, this.target.user)
    this.baseline = this.#host.parameters.of(login.reported)
  }

  onIdle(): void {
    this.#owner.onServerReady(this)
  }

  /** A question of our own; its whole answer is swallowed. */
  ask(sql: string): void {
    this.life.awaitAnswer()
    if (!this.relay.questions.ask(sql)) this.lose(this.link.failure, null)
  }

  /** The answer to `ask` is complete. */
  onAnswered(failure: ErrorFields | null): void {
    this.life.answered()
    if (this.#listener !== null) {
      this.#listener.onAnswered(failure)
      return
    }
    if (failure !== null) {
      this.lose(`reset failed: ${failure.message}`, null)
      return
    }
    if (this.state === 'resetting') {
      this.parameters = this.baseline
      this.hidesSettingsOf = 0
      this.parallelism = 'own'
      this.statements.clear()
      this.strays = null
      this.unnamedOwner = 0
    }
    this.listens = false
    this.life.release()
  }

  #letGo(): void {
    this.#client = null
    this.relay.delivery.forget()
    this.work.sent.forget()
    this.#memory.detached()
    // A client that did not read held it back.
    this.link.resumeReading()
  }
}
