import { rm } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { RouterError } from '../../errors.ts'
import type { Logger } from '../../log.ts'
import type { DrainPatience, PlaneCommand, PlaneEvent } from '../../memory/control-protocol.ts'
import type { DroppedClient } from '../../memory/preservation.ts'
import type { ModelValue } from '../../shard/model-value.ts'
import type { PlaneValues } from '../../shard/plane-values.ts'
import type { Topology } from '../../shard/topology.ts'
import { HoldLedger } from './hold-ledger.ts'
import { PauseLedger } from './pause-ledger.ts'
import { type AnsweredCommand, PlaneConnection } from './plane-connection.ts'

type Account = Extract<PlaneCommand, { op: 'account' }>
type Hello = Extract<PlaneEvent, { op: 'hello' }>
type LogEvent = Extract<PlaneEvent, { op: 'log' }>
type Preserved = Extract<PlaneEvent, { op: 'preserved' | 'preserved-clients' }>
type Question = Extract<PlaneEvent, { op: 'functions' }>
type OtherEvent =
  | Extract<PlaneEvent, { op: 'log' | 'suspect' | 'wrote' | 'client-lost' | 'account' | 'account-refused' }>
  | Question
  | Preserved

/** Who answers what planes ask, and hears what they say. */
export interface PlaneLinkOptions {
  /** How many planes there are to be. */
  readonly planes: number
  /** Looks a user up; must not reject. */
  readonly findAccount: (user: string, database: string) => Promise<Account>
  /** Looks at the functions of a database; must not reject. */
  readonly findFunctions: (question: Question) => Promise<PlaneCommand>
  readonly onAccountRefused: (user: string, database: string) => void
  readonly onSuspect: (shard: number, reason: string) => void
  readonly onWrote: (group: string) => void
  /** A client has ended with a server connection of this shard. */
  readonly onClientLost: (shard: number, client: DroppedClient) => void
  readonly onLog: (plane: number, pid: number, event: LogEvent) => void
  /** A plane took over from a process before it, or says more about that. */
  readonly onPreserved: (event: Preserved) => void
  readonly log: Logger
}

interface Linked {
  readonly plane: number
  readonly pid: number
  readonly connection: PlaneConnection
}

/** By then a successor has served those who waited for it. To understand a model takes it some milliseconds. */
const MODEL_LATER_MS = 500

/**
 * Control's side of the sockets to the planes. Planes dial in when they start, and again when either side was restarted;
 * each is brought up to date then: values, topology, what is paused, and whether the router is draining.
 */
export class PlaneLink {
  readonly #options: PlaneLinkOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #linked = new Map<number, Linked>()
  readonly #pauses = new PauseLedger()
  readonly #holds = new HoldLedger()
  #values: PlaneValues | null = null
  #topology: Topology | null = null
  #model: ModelValue | null | undefined = undefined
  #isEnding = false
  #drain: { readonly awaited: DrainPatience; readonly at: number; readonly now: () => number } | null = null

  constructor(options: PlaneLinkOptions) {
    this.#options = options
    this.#server = createServer((socket) => this.#accept(socket))
  }

  /** Takes the place of a socket file that an earlier control process left. */
  async listen(path: string): Promise<void> {
    await rm(path, { force: true })
    await new Promise<void>((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(path, resolve)
    })
  }

  /** Drops all planes, which go on without us. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  get pauses(): PauseLedger {
    return this.#pauses
  }

  get holds(): HoldLedger {
    return this.#holds
  }

  /** One sentence for each plane that is not there. */
  troubles(): readonly string[] {
    const planes = Array.from({ length: this.#options.planes }, (_, plane) => plane)
    return planes.filter((plane) => !this.#linked.has(plane)).map((plane) => `plane ${plane} is not connected`)
  }

  publishValues(values: PlaneValues): void {
    this.#values = values
    this.#topology = values.topology
    this.#tellAll({ op: 'values', values })
  }

  /** To all planes, and to those that come later. */
  publishModel(model: ModelValue | null): void {
    this.#model = model
    this.#tellAll({ op: 'model', model })
  }

  publishTopology(topology: Topology): void {
    this.#topology = topology
    // The values that come first bring their topology along.
    if (this.#values !== null) this.#tellAll({ op: 'topology', topology })
  }

  /** Throws a RouterError (57P03) when no plane is connected. */
  requirePlanes(): void {
    if (this.#linked.size > 0) return
    throw new RouterError('57P03', 'No plane is connected to the control process; try again in a moment.', {
      origin: 'router',
    })
  }

  /** Settles when the plane has carried it out. Rejects with 57P03 when it is not there, with 58000 when it did not. */
  async ask(plane: number, command: AnsweredCommand): Promise<void> {
    const linked = this.#linked.get(plane)
    if (linked === undefined) {
      throw new RouterError('57P03', `Plane ${plane} is not connected to the control process; try again in a moment.`, {
        origin: 'router',
      })
    }
    await linked.connection.ask(command)
  }

  /** Settles when every plane has carried it out. Rejects with 57P03 when there is none, with 58000 when one did not. */
  async askAll(command: AnsweredCommand): Promise<void> {
    this.requirePlanes()
    await Promise.all([...this.#linked.values()].map(({ connection }) => connection.ask(command)))
  }

  /**
   * `deadlineMs` null: as long as it takes. Settles when no plane has clients any more; one that dies has none. What was
   * asked before is hurried, never slowed down.
   */
  async drainAll(awaited: DrainPatience, deadlineMs: number | null, now: () => number): Promise<void> {
    const before = this.#drain
    const at = Math.min(before?.at ?? Infinity, deadlineMs === null ? Infinity : now() + deadlineMs)
    this.#drain = { awaited: before?.awaited === 'transactions' ? 'transactions' : awaited, at, now }
    const command = this.#drainCommand()
    if (command === null) return
    await Promise.allSettled([...this.#linked.values()].map(({ connection }) => connection.ask(command)))
  }

  /** Ends all planes; settles when they have gone, or after `patienceMs`. */
  async exitAll(patienceMs: number): Promise<void> {
    this.#isEnding = true
    const gone = [...this.#linked.values()].map(({ connection }) => connection.closed)
    this.#tellAll({ op: 'exit' })
    let timer: NodeJS.Timeout | undefined
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patienceMs)
    })
    await Promise.race([Promise.all(gone), enough])
    clearTimeout(timer)
  }

  #tellAll(command: PlaneCommand): void {
    for (const { connection } of this.#linked.values()) connection.tell(command)
  }

  #accept(socket: Socket): void {
    this.#sockets.add(socket)
    let linked: Linked | null = null
    const connection = new PlaneConnection(socket, {
      onEvent: (event) => {
        if (event.op === 'hello') linked = this.#greet(event, connection)
        else if (linked !== null) this.#onEvent(event, linked)
      },
      onClosed: (error) => {
        this.#sockets.delete(socket)
        if (linked === null || this.#linked.get(linked.plane) !== linked) return
        this.#linked.delete(linked.plane)
        const fields = { plane: linked.plane, ...(error === null ? {} : { err: error }) }
        this.#options.log[this.#isEnding ? 'debug' : 'warn'](fields, `plane ${linked.plane} disconnected`)
      },
    })
  }

  #greet(hello: Hello, connection: PlaneConnection): Linked {
    const { plane, pid } = hello
    connection.name = `plane ${plane}`
    const linked = { plane, pid, connection }
    const previous = this.#linked.get(plane)
    this.#linked.set(plane, linked)
    previous?.connection.close()
    this.#options.log.debug({ plane, planePid: pid }, `plane ${plane} connected`)
    this.#bringUpToDate(hello, connection)
    return linked
  }

  #bringUpToDate(hello: Hello, connection: PlaneConnection): void {
    const values = this.#values
    const topology = this.#topology
    this.#tellModel(hello, connection)
    // Before there are values, shards have not been probed: a plane that has served for long knows better.
    if (values !== null && topology !== null) {
      if (hello.valuesVersion !== values.version) connection.tell({ op: 'values', values: { ...values, topology } })
      else if (hello.topologyVersion !== topology.version) connection.tell({ op: 'topology', topology })
    }
    connection.tell({ op: 'holds', shards: this.#holds.shards })
    for (const command of this.#holds.commands()) this.#askQuietly(connection, command)
    for (const command of this.#pauses.commands()) this.#askQuietly(connection, command)
    const drain = this.#drainCommand()
    if (drain !== null) this.#askQuietly(connection, drain)
  }

  /** First, so that clients that come have it; but whoever has just taken over has clients who have waited long enough. */
  #tellModel({ plane, valuesVersion, model }: Hello, connection: PlaneConnection): void {
    if (this.#model === undefined || model === hashOf(this.#model)) return
    const tell = (): void => {
      if (this.#model === undefined || this.#linked.get(plane)?.connection !== connection) return
      connection.tell({ op: 'model', model: this.#model })
    }
    if (valuesVersion === 0) tell()
    else setTimeout(tell, MODEL_LATER_MS).unref()
  }

  /** Who goes away instead of answering is brought up to date by its next hello. */
  #askQuietly(connection: PlaneConnection, command: AnsweredCommand): void {
    connection.ask(command).catch((error: unknown) => this.#options.log.debug({ err: error }, 'a plane did not answer'))
  }

  #drainCommand(): Extract<AnsweredCommand, { op: 'drain' }> | null {
    if (this.#drain === null) return null
    const { awaited, at, now } = this.#drain
    return { op: 'drain', awaited, deadlineMs: at === Infinity ? null : Math.max(0, Math.round(at - now())) }
  }

  #onEvent(event: OtherEvent, { plane, pid, connection }: Linked): void {
    if (event.op === 'log') this.#options.onLog(plane, pid, event)
    else if (event.op === 'suspect') this.#options.onSuspect(event.shard, event.reason)
    else if (event.op === 'wrote') this.#options.onWrote(event.group)
    else if (event.op === 'client-lost') this.#options.onClientLost(event.shard, event.client)
    else if (event.op === 'functions') void this.#options.findFunctions(event).then((answer) => connection.tell(answer))
    else if (event.op === 'account') this.#answerAccount(event.user, event.database, connection)
    else if (event.op === 'account-refused') this.#options.onAccountRefused(event.user, event.database)
    else this.#options.onPreserved(event)
  }

  #answerAccount(user: string, database: string, connection: PlaneConnection): void {
    this.#options.findAccount(user, database).then(
      (account) => connection.tell(account),
      (error: unknown) => {
        this.#options.log.error({ err: error, user }, 'looking up a user failed')
        const reason = error instanceof Error ? error.message : String(error)
        connection.tell({ op: 'account', user, account: null, error: reason })
      },
    )
  }
}

function hashOf(model: ModelValue | null): unknown {
  return model === null ? null : model.sha256
}
