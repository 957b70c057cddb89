import type { Link } from '../io/link.ts'
import type { ServerState } from '../memory/server-slots.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { Timer } from '../util/timer-wheel.ts'
import type { ReplyQueue } from './reply-queue.ts'
import type { ServerHost } from './server-host.ts'
import { rollBack } from './server-rollback.ts'
import type { ServerSlot } from './server-slot.ts'

/** The server connection whose life it is. */
export interface LivingServer {
  readonly link: Link
  readonly queue: ReplyQueue
  /** Transaction status of the last ReadyForQuery. */
  readonly status: number
  /** A question of our own: `awaitAnswer` of its life, and `answered` when the answer is complete. */
  ask(sql: string): void
  lose(reason: string, fields: ErrorFields | null): void
  /** It is nobody's from now on. */
  onIdle(): void
}

const NEXT: Record<ServerState, readonly ServerState[]> = {
  free: ['closing'],
  connecting: ['login', 'closing'],
  login: ['idle', 'closing'],
  idle: ['active', 'listening', 'tested', 'closing'],
  active: ['idle', 'cancelling', 'unlistening', 'resetting', 'closing'],
  listening: ['closing'],
  tested: ['idle', 'cancelling', 'closing'],
  resetting: ['idle', 'cancelling', 'closing'],
  unlistening: ['idle', 'cancelling', 'closing'],
  cancelling: ['idle', 'closing'],
  closing: [],
}

/** The two of each transaction first: V8 looks a property up by a name that changes through its slowest way. */
function mayFollow(state: ServerState, next: ServerState): boolean {
  if (state === 'idle' && next === 'active') return true
  if (state === 'active' && next === 'idle') return true
  return NEXT[state].includes(next)
}

/** Those that end with the server's answer. */
const AWAITING: ReadonlySet<ServerState> = new Set(['connecting', 'login', 'tested', 'resetting', 'unlistening'])

/**
 * The states of a server connection.
 *
 * - connecting: the socket is not open yet.
 * - login: TLS request, startup message, authentication; ends with the first ReadyForQuery.
 * - idle: nobody's. active: some client's, until `release`, `unlisten` or `reset`.
 * - listening: serves no client and never will; hears notifications for all of them.
 * - tested: proves that it is alive before somebody gets it. resetting: forgets what its last session left.
 * - unlistening: forgets the channels that its last session listened to.
 * - cancelling: a cancel request for its last client may still arrive; nobody gets it until that is over.
 * - closing: gone.
 *
 * Throws Error where the connection's state does not allow what is asked.
 */
export class ServerLifecycle {
  readonly #host: ServerHost
  readonly #server: LivingServer
  readonly #memory: ServerSlot
  readonly #deadline: Timer = new Timer(() => this.#late())
  #state: ServerState
  #cancels = 0

  /** `state`: the one that it begins in; `begin` has to be called when the connection is there. */
  constructor(host: ServerHost, server: LivingServer, memory: ServerSlot, state: ServerState) {
    this.#host = host
    this.#server = server
    this.#memory = memory
    this.#state = state
    memory.state(state)
  }

  get state(): ServerState {
    return this.#state
  }

  /** A cancel request may still hit what it does next. */
  get isCancelling(): boolean {
    return this.#cancels > 0
  }

  /** The time for the answer that it awaits, if it does, runs from now on. */
  begin(): void {
    if (AWAITING.has(this.#state)) this.awaitAnswer()
  }

  /** The socket is open. */
  connected(): void {
    this.#enter('login')
  }

  loggedIn(): void {
    this.answered()
    this.#becomeIdle()
  }

  attach(): void {
    this.#enter('active')
  }

  listen(): void {
    this.#enter('listening')
  }

  /** Asks whether it is alive; `onServerReady` of its owner follows, or `onServerClosed`. */
  test(): void {
    this.#enter('tested')
    this.#server.ask('')
  }

  /** Its client has left nothing in it but channels that it listens to. */
  unlisten(): void {
    this.#enter('unlistening')
    this.#server.ask('UNLISTEN *')
  }

  /** Its client may have left anything in it. */
  reset(): void {
    this.#enter('resetting')
    if (rollBack(this.#server)) this.#server.ask('DISCARD ALL')
  }

  /** Nothing is left in it of whatever it did. */
  release(): void {
    if (this.#cancels > 0) this.#enter('cancelling')
    else this.#becomeIdle()
  }

  /** Until `endCancel` nobody else may get it: the cancel would hit the wrong query. */
  beginCancel(): void {
    this.#cancels++
    // Whoever goes on with it has to know.
    this.#server.link.touch()
  }

  endCancel(): void {
    this.#cancels--
    const { link } = this.#server
    if (!link.closed) link.touch()
    if (this.#cancels === 0 && this.#state === 'cancelling') this.#becomeIdle()
  }

  /** For ever. False: it is gone already. */
  end(): boolean {
    if (this.#state === 'closing') return false
    this.#enter('closing')
    this.answered()
    return true
  }

  /** The server is asked something of ours, and has this much time for it. */
  awaitAnswer(): void {
    const { timers, timeouts, now } = this.#host
    if (timeouts.serverConnectMs > 0) timers.arm(this.#deadline, now + timeouts.serverConnectMs)
  }

  /** What was asked last is answered. */
  answered(): void {
    this.#host.timers.disarm(this.#deadline)
  }

  #late(): void {
    this.#server.lose(`no answer from the shard while ${this.#state} within the time allowed`, null)
  }

  #becomeIdle(): void {
    if (this.#state === 'closing') return
    this.#memory.idle()
    this.#enter('idle')
    this.#server.onIdle()
  }

  /** The one setter. */
  #enter(state: ServerState): void {
    if (!mayFollow(this.#state, state)) throw new Error(`server connection: ${state} while ${this.#state}`)
    this.#state = state
    this.#memory.state(state)
    this.#server.link.touch()
  }
}
