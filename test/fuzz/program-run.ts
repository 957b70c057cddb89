import type { WireMessage } from '../support/wire-message.ts'
import { POOL_SIZE } from './arena.ts'
import { FuzzConnection, isQuiet } from './fuzz-connection.ts'
import type { Lane, Target } from './lane.ts'
import { normalise } from './normalise.ts'
import { type Action, type Program, showAction } from './program.ts'
import { Seats } from './seats.ts'
import type { Trait } from './statement.ts'

/** What was said in one action: what the client did, and what it got. */
export interface Exchange {
  readonly title: string
  readonly lines: readonly string[]
}

/** What becomes of one action. Decided in the direct run, repeated in the other one. */
export interface Decision {
  connects: boolean
  performs: boolean
  /** The client may have held something: it must be gone before others go on. */
  settles: boolean
  /** Who has heard how many notifications at the end of it. */
  hears: readonly (readonly [client: number, count: number])[]
}

/** One run of a program. */
export interface ProgramRun {
  readonly exchanges: readonly Exchange[]
  readonly plan: readonly Decision[]
  /** Of all that was performed. */
  readonly traits: ReadonlySet<Trait>
}

/** Runs `program` against `target`. `plan` is that of the direct run; null: this is the direct run. */
export async function runProgram(
  lane: Lane,
  target: Target,
  program: Program,
  plan: readonly Decision[] | null,
): Promise<ProgramRun> {
  const run = new Run(lane, target, program, plan)
  try {
    await run.play()
    return run
  } finally {
    run.abandon()
  }
}

class Run implements ProgramRun {
  readonly exchanges: Exchange[] = []
  readonly plan: Decision[] = []
  readonly traits = new Set<Trait>()
  readonly #lane: Lane
  readonly #target: Target
  readonly #program: Program
  readonly #given: readonly Decision[] | null
  readonly #seats: Seats
  readonly #connections = new Map<number, FuzzConnection>()
  /** Clients whose login was refused; it would be again. */
  readonly #refused = new Set<number>()
  /** Behind this action nothing happens but that clients leave in good order, which waits for nobody. */
  readonly #lastThatCounts: number
  /** Of clients that have left since, whatever they held. */
  readonly #departed: number[] = []

  constructor(lane: Lane, target: Target, program: Program, plan: readonly Decision[] | null) {
    this.#lane = lane
    this.#target = target
    this.#program = program
    this.#given = plan
    this.#seats = new Seats(POOL_SIZE - 1)
    this.#lastThatCounts = program.actions.findLastIndex(({ step }) => step.kind !== 'leave' || !isQuiet(step))
  }

  async play(): Promise<void> {
    for (const action of this.#program.actions) await this.#play(action)
    for (const client of [...this.#connections.keys()].sort()) {
      await this.#play({ client, step: { kind: 'leave', how: 'terminate', last: null, torn: false } })
    }
    // Of the router, this is asked together with what is left behind.
    if (this.#target.used === null || this.#departed.length === 0) return
    const lines = await this.#letGo(this.#departed)
    if (lines.length > 0) this.exchanges.push({ title: 'the end', lines })
  }

  abandon(): void {
    for (const connection of this.#connections.values()) connection.close()
  }

  async #play(action: Action): Promise<void> {
    const given = this.#given?.[this.plan.length]
    const decision: Decision = { connects: false, performs: false, settles: false, hears: [] }
    this.plan.push(decision)
    decision.connects = given?.connects ?? this.#mayConnect(action)
    if (decision.connects) await this.#connect(action.client)
    const connection = this.#connections.get(action.client)
    if (connection === undefined) return
    decision.performs = given?.performs ?? this.#seats.admit(action.client, action.step)
    if (decision.performs) await this.#perform(connection, action, decision, given)
  }

  #mayConnect({ client, step }: Action): boolean {
    const isNeeded = step.kind !== 'leave' || step.last !== null || step.torn
    return isNeeded && !this.#connections.has(client) && !this.#refused.has(client)
  }

  async #connect(client: number): Promise<void> {
    const startup = this.#program.startups[client]!
    const login = this.#lane.login(startup, this.#target)
    const { connection, messages } = await FuzzConnection.open(this.#target, login, client)
    this.exchanges.push({ title: `client ${client}: connects`, lines: normalise(messages) })
    // The other run's may have been closed by the server.
    this.#connections.get(client)?.close()
    if (connection === null) this.#refused.add(client)
    else {
      this.#connections.set(client, connection)
      this.#seats.join(client, startup, connection)
    }
  }

  async #perform(
    connection: FuzzConnection,
    action: Action,
    decision: Decision,
    given: Decision | undefined,
  ): Promise<void> {
    const { client, step } = action
    const traits = this.#seats.traits(client, step)
    for (const trait of traits) this.traits.add(trait)
    const messages = await connection.perform(step)
    const lines = normalise(messages)
    if (connection.outcome === 'silent') lines.push('-- no answer')
    if (connection.outcome === 'closed') lines.push('-- the connection was closed')
    if (traits.has('forgetsSequence')) this.#seats.forgotSequence(client)
    else if (traits.has('usesSequence') && step.kind === 'queries' && !hasError(messages))
      this.#seats.usedSequence(client)
    if (step.kind === 'leave' || connection.outcome !== 'answered') {
      const leavesMuch = step.kind === 'leave' && (step.last !== null || step.torn)
      decision.settles = given?.settles ?? (leavesMuch || this.#seats.isHolding(client))
      lines.push(...(await this.#leave(connection, action, decision)))
    } else if (this.traits.has('notifies') && this.traits.has('listens')) {
      await this.#hear(decision, given, lines)
    }
    this.exchanges.push({ title: showAction(action), lines })
  }

  async #leave(connection: FuzzConnection, { client, step }: Action, { settles }: Decision): Promise<string[]> {
    this.#connections.delete(client)
    this.#seats.leave(client)
    const isOrderly = step.kind === 'leave' && isQuiet(step) && connection.outcome === 'answered'
    if (isOrderly && (await connection.giveBack())) return []
    if (!isOrderly) connection.close()
    if (!settles) return []
    if (this.plan.length <= this.#lastThatCounts) return await this.#letGo([connection.processId])
    this.#departed.push(connection.processId)
    return []
  }

  async #letGo(processIds: readonly number[]): Promise<string[]> {
    try {
      await this.#target.settled(processIds, this.#connections.size)
      return []
    } catch (error) {
      return [`-- what it held is not let go of: ${error instanceof Error ? error.message : String(error)}`]
    }
  }

  /** Everybody who may have been notified of something gets it now. */
  async #hear(decision: Decision, given: Decision | undefined, lines: string[]): Promise<void> {
    const heard: (readonly [number, number])[] = []
    for (const [client, connection] of this.#connections) {
      if (given?.hears.every(([number]) => number !== client) ?? !this.#hearsNow(client, connection)) continue
      await connection.barrier()
      await connection.notified(given?.hears.find(([number]) => number === client)?.[1] ?? 0)
      const notifications = connection.notifications.splice(0)
      heard.push([client, notifications.length])
      for (const line of normalise(notifications)) lines.push(`client ${client} hears: ${line}`)
    }
    decision.hears = heard
  }

  #hearsNow(client: number, { status, isOpen }: FuzzConnection): boolean {
    return this.#seats.mayListen(client) && status === 'I' && !isOpen
  }
}

function hasError(messages: readonly WireMessage[]): boolean {
  return messages.some(({ type }) => type === 'E')
}
