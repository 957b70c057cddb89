import { SHARD_RECORD_BYTES } from '../../memory/layout.ts'
import { Region } from '../../memory/region.ts'
import { SHARD_RECORDS, SHARD_STATE_F64, stateRecord } from '../../memory/shard-records.ts'
import type { ErrorFields } from '../../protocol/messages.ts'
import { Freshness } from '../../router/freshness.ts'
import { ReadRouter } from '../../router/read-route.ts'
import { type GroupPlan, placesOf, RouteTable } from '../../router/route-table.ts'
import type { PoolWaiter } from '../../server/pool-waiter.ts'
import { claimOf, tierOfClaim } from '../../shard/claim.ts'
import { isCountedApart, type Policy, type TierPolicy, type TierRule } from '../../shard/policy.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import type { Fifo, FifoNode } from '../../util/fifo.ts'
import { EventHeap } from './event-heap.ts'
import { type Outcome, Tally } from './outcome.ts'
import { type SimulatedClock, SimulatedShard } from './simulated-shard.ts'
import type { WantedTransaction, Work } from './work.ts'

/** Where the work is done. */
export interface SimulatedWorld {
  readonly topology: Topology
  readonly policy: Policy
  /** `timeouts.query_wait`, 0: no limit. */
  readonly queryWaitMs: number
  /** So far replicas are behind. */
  readonly lagMs: number
  /** At least 0, below 1. */
  readonly random: () => number
}

/** Everything happens later than this, so that "never" is long ago. */
const BEGINNING = 1e6

type Event =
  | { readonly kind: 'arrival' }
  /** What its client wanted meanwhile. */
  | { readonly kind: 'next'; readonly session: Session }
  | {
      readonly kind: 'end'
      readonly run: Run
      readonly shard: SimulatedShard
      readonly claim: number
      readonly ms: number
    }
  | { readonly kind: 'deadline'; readonly run: Run; readonly shard: SimulatedShard }

interface Session {
  /** Nothing else of it may begin. */
  isBusy: boolean
  readonly queue: WantedTransaction[]
  wroteAt: number
  sawAt: number
  sawOn: number
}

/** A transaction that waits or runs. */
class Run implements PoolWaiter {
  readonly what: WantedTransaction
  readonly session: Session
  readonly wantedAt: number
  readonly #world: Simulation
  fifo: Fifo<FifoNode> | null = null
  fifoNext: FifoNode | null = null
  fifoPrevious: FifoNode | null = null
  waitsAs = -1
  waitingSince = 0

  constructor(world: Simulation, what: WantedTransaction, session: Session, wantedAt: number) {
    this.#world = world
    this.what = what
    this.session = session
    this.wantedAt = wantedAt
  }

  get tier(): number {
    return this.what.tier
  }

  get claim(): number {
    return this.#world.claimOf(this.what)
  }

  onServer(): void {
    throw new Error('simulation: there are no server connections')
  }

  requeue(): void {
    throw new Error('simulation: the topology does not change')
  }

  /** Nobody asks: that is upkeep. */
  reroute(): void {}

  onPoolFailed(_: ErrorFields): void {
    this.#world.refused(this)
  }
}

/**
 * Recorded work through the plane's own router and admission, in simulated time. Shards take as long for each transaction as
 * was recorded, however busy they are; replicas are always the same time behind.
 */
export class Simulation implements SimulatedClock {
  readonly planeIndex = 0
  now = BEGINNING
  readonly #work: Work
  readonly #world: SimulatedWorld
  readonly #records = new Region(
    new ArrayBuffer(SHARD_RECORD_BYTES * SHARD_RECORDS * 2),
    0,
    SHARD_RECORD_BYTES,
    SHARD_RECORDS * 2,
  )
  readonly #shards: ReadonlyMap<number, SimulatedShard>
  readonly #table: RouteTable
  readonly #router: ReadRouter
  readonly #events = new EventHeap<Event>()
  readonly #sessions: Session[]
  readonly #tally: Tally
  #next = 0
  /** When the last transaction was over. */
  #overAt = BEGINNING

  private constructor(work: Work, world: SimulatedWorld) {
    this.#work = work
    this.#world = world
    const { topology, policy } = world
    this.#tally = new Tally(policy)
    this.#shards = new Map(topology.shards.map((shard) => [shard.id, this.#open(shard)]))
    this.#table = new RouteTable({ loadOf: ({ id }) => this.#shard(id).admission })
    this.#table.rebuild(policy, topology, this.now)
    this.#router = new ReadRouter(new Freshness(this.#records), world.random, policy.routing)
    this.#sessions = Array.from({ length: work.sessions }, () => ({
      isBusy: false,
      queue: [],
      wroteAt: 0,
      sawAt: 0,
      sawOn: -1,
    }))
  }

  /** What becomes of `work` in `world`. The same for the same numbers of `random`. */
  static run(work: Work, world: SimulatedWorld): Outcome {
    const simulation = new Simulation(work, world)
    simulation.#go()
    return simulation.#tally.outcome(work, [...simulation.#shards.values()], simulation.#overAt - BEGINNING)
  }

  #open(shard: Shard): SimulatedShard {
    return new SimulatedShard(this, shard, this.#world.policy, this.#records, (run, claim, on) =>
      this.#begin(run as Run, claim, on),
    )
  }

  #shard(id: number): SimulatedShard {
    const found = this.#shards.get(id)
    if (found === undefined) throw new Error(`simulation: no shard has the id ${id}`)
    return found
  }

  #go(): void {
    this.#announce()
    for (let event = this.#take(); event !== null; event = this.#take()) this.#handle(event)
  }

  #take(): Event | null {
    const at = this.#events.nextAt
    const event = this.#events.pop()
    if (event !== null) this.now = at
    return event
  }

  /** The next arrival is known when the one before it is over: there are too many for all to be events at once. */
  #announce(): void {
    const next = this.#work.transactions[this.#next]
    if (next !== undefined) this.#events.push(BEGINNING + next.at, { kind: 'arrival' })
  }

  #handle(event: Event): void {
    if (event.kind === 'arrival') {
      const what = this.#work.transactions[this.#next++] as WantedTransaction
      this.#announce()
      const session = this.#sessions[what.session] as Session
      if (session.isBusy) session.queue.push(what)
      else this.#want(what, session)
    } else if (event.kind === 'end') {
      this.#end(event.run, event.shard)
      event.shard.end(event.claim, event.ms)
    } else if (event.kind === 'next') {
      const what = event.session.queue.shift()
      if (what !== undefined) this.#want(what, event.session)
    } else if (event.run.waitsAs >= 0) {
      event.shard.leave(event.run)
      this.#tally.timedOut(event.run.tier)
      this.#goOn(event.run.session)
    }
  }

  #want(what: WantedTransaction, session: Session): void {
    session.isBusy = true
    const run = new Run(this, what, session, this.now)
    const plan = this.#table.of(what.group)
    const shard = plan === null ? null : this.#place(what, session, plan)
    if (shard === null) {
      this.refused(run)
      return
    }
    shard.arrive(run)
    const queueWaitMs = this.#rule(what.rule)?.queueWaitMs ?? this.#tier(what.tier).queueWaitMs
    const patience = queueWaitMs || this.#world.queryWaitMs
    if (run.waitsAs >= 0 && patience > 0) this.#events.push(this.now + patience, { kind: 'deadline', run, shard })
  }

  /** What the transaction wants its slot as. */
  claimOf({ tier, rule }: WantedTransaction): number {
    const found = this.#rule(rule)
    return found !== null && isCountedApart(found) ? claimOf(tier, rule) : tier
  }

  #rule(place: number): TierRule | null {
    return this.#world.policy.rules[place] ?? null
  }

  #tier(code: number): TierPolicy {
    return this.#world.policy.tiers[code] as TierPolicy
  }

  #place({ tier, isRead, rule: place }: WantedTransaction, session: Session, plan: GroupPlan): SimulatedShard | null {
    const rule = this.#rule(place)
    const primary = plan.primary === null ? null : this.#shard(plan.primary.id)
    const consistency = rule?.consistency ?? this.#tier(tier).consistency
    if (!isRead || placesOf(plan, tier, rule)?.reachesReplicas !== true || consistency === 'strong') return primary
    this.#keepFresh()
    const demand = { tier, rule, consistency, causality: session }
    const candidate = this.#router.choose(plan, demand, this.now, { canReach: () => true })
    return candidate === null ? primary : this.#shard(candidate.shard.id)
  }

  /** Replicas are as far behind as ever. */
  #keepFresh(): void {
    for (const { shard } of this.#shards.values()) {
      const record = stateRecord(shard.id)
      if (record < 0) continue
      const at = record * (this.#records.recordBytes >> 3)
      this.#records.f64[at + SHARD_STATE_F64.freshAsOf] = this.now - this.#world.lagMs
      this.#records.f64[at + SHARD_STATE_F64.freshAt] = this.now
    }
  }

  #begin(run: Run, claim: number, shard: SimulatedShard): void {
    const tier = tierOfClaim(claim)
    const transactionMs = this.#rule(run.what.rule)?.transactionMs ?? this.#tier(tier).transactionMs
    const isCancelled = transactionMs > 0 && run.what.serviceMs > transactionMs
    const ms = isCancelled ? transactionMs : run.what.serviceMs
    this.#tally.began(tier, this.now - run.wantedAt, isCancelled)
    this.#events.push(this.now + ms, { kind: 'end', run, shard, claim, ms })
  }

  #end({ what, session }: Run, { shard }: SimulatedShard): void {
    this.#overAt = this.now
    session.sawAt = this.now
    session.sawOn = shard.id
    if (!what.isRead) {
      session.wroteAt = this.now
      const plan = this.#table.of(what.group)
      if (plan !== null) plan.wroteAt = this.now
    }
    this.#goOn(session)
  }

  /** Its client is told, and asks what it wanted next. */
  refused(run: Run): void {
    this.#tally.refused(run.tier)
    this.#goOn(run.session)
  }

  /** What its client wanted meanwhile comes as an event, so that refusals do not call each other without end. */
  #goOn(session: Session): void {
    if (session.queue.length > 0) this.#events.push(this.now, { kind: 'next', session })
    else session.isBusy = false
  }
}
