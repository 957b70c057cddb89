import assert from 'node:assert/strict'
import { SHARD_RECORD_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { SHARD_RECORDS } from '../memory/shard-records.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import { type LanePool, ShardLane } from '../server/shard-lane.ts'
import { WaitingLine } from '../server/waiting-line.ts'
import { claimOf, ruleOfClaim, tierOfClaim } from '../shard/claim.ts'
import { isCountedApart, type Policy, slotsOf } from '../shard/policy.ts'
import { rulePlace } from '../shard/tier-rule.ts'
import { ShardAdmission } from './shard-admission.ts'
import { turn } from './turn.ts'

/** A client that wants one transaction. */
export class Waiter implements PoolWaiter {
  fifoPrevious = null
  fifoNext = null
  fifo = null
  waitsAs = -1
  waitingSince = 0
  readonly tier: number
  readonly user: string
  readonly number: number
  readonly #world: World
  pool: Pool | null = null
  servedAt = -1
  refused: string | null = null

  constructor(world: World, tier: number, user: string, number: number) {
    this.#world = world
    this.tier = tier
    this.user = user
    this.number = number
  }

  get claim(): number {
    return this.#world.claimOf(this)
  }

  onServer(): void {}
  requeue(): void {}
  reroute(): void {}

  onPoolFailed({ message }: { readonly message: string }): void {
    this.refused = message
  }
}

/** A pool without server connections: there are always enough. */
export class Pool implements LanePool {
  readonly line: WaitingLine
  readonly #world: World
  wasHeldBack = false

  constructor(world: World) {
    this.#world = world
    this.line = new WaitingLine(world.admission)
  }

  get canServe(): boolean {
    return this.line.length > 0
  }

  get turn(): number {
    return this.line.turn
  }

  firstInLine(): PoolWaiter | null {
    return this.line.first()
  }

  serve(waiter: PoolWaiter): boolean {
    const claim = waiter.waitsAs
    this.#world.assertFirst(waiter as Waiter)
    this.leave(waiter)
    this.#world.begin(waiter as Waiter, claim)
    return true
  }

  reconsider(): void {}

  lastInLine(): PoolWaiter | null {
    return this.line.last()
  }

  leave(waiter: PoolWaiter): void {
    const before = this.line.length
    this.line.remove(waiter)
    this.#world.lane.count(this.line.length - before)
  }
}

/** One shard with two pools, and an oracle that counts everybody anew each time it is asked. */
export class World {
  planeIndex = 0
  now = 10_000
  readonly records: Region = new Region(
    new ArrayBuffer(SHARD_RECORD_BYTES * SHARD_RECORDS * 2),
    0,
    SHARD_RECORD_BYTES,
    256,
  )
  readonly admission: ShardAdmission = new ShardAdmission(this, { id: 3, name: 'db3' }, this.records)
  readonly lane: ShardLane = new ShardLane(this.admission)
  readonly pools: readonly Pool[] = [new Pool(this), new Pool(this)]
  readonly running: { waiter: Waiter; claim: number }[] = []
  readonly all: Waiter[] = []
  readonly served: Waiter[] = []
  readonly #limit: number
  policy: Policy

  constructor(limit: number, policy: Policy) {
    this.#limit = limit
    this.policy = policy
    this.admission.configure(limit, policy)
    for (const pool of this.pools) this.lane.add(pool)
  }

  claimOf({ tier, user }: Waiter): number {
    const { rules } = this.policy
    const place = rulePlace(rules, { user, database: '', application: '' })
    const rule = rules[place]
    return rule !== undefined && isCountedApart(rule) ? claimOf(tier, place) : tier
  }

  get waiting(): Waiter[] {
    return this.all.filter(({ waitsAs }) => waitsAs >= 0)
  }

  arrive(tier: number, pool: Pool, user = 'somebody'): Waiter {
    this.now++
    const waiter = new Waiter(this, tier, user, this.all.length)
    this.all.push(waiter)
    const { claim } = waiter
    const refusal = this.admission.refusal(claim)
    if (!pool.line.has(claim) && this.admission.mayTake(claim)) this.begin(waiter, claim)
    else if (refusal !== null) waiter.onPoolFailed(refusal)
    else {
      waiter.waitingSince = this.now
      waiter.pool = pool
      pool.line.push(waiter)
      this.lane.count(1)
      this.lane.shed()
    }
    return waiter
  }

  begin(waiter: Waiter, claim: number): void {
    assert.ok(this.mayBegin(claim), 'more than it may have')
    this.admission.take(claim)
    waiter.servedAt = this.now
    this.served.push(waiter)
    this.running.push({ waiter, claim })
  }

  end(index: number): void {
    const [ended] = this.running.splice(index % Math.max(1, this.running.length), 1)
    if (ended === undefined) return
    this.admission.release(ended.claim)
    this.lane.serve(this.pools[0] as Pool)
  }

  /** As a plane does it. */
  reload(rules: Policy['rules']): void {
    this.policy = { ...this.policy, rules }
    this.admission.configure(this.#limit, this.policy)
    for (const each of this.running) {
      const { waiter } = each
      each.claim = waiter.claim
      this.admission.recount(each.claim)
    }
    for (const { line } of this.pools) line.recount()
    this.lane.serve(this.pools[0] as Pool)
  }

  /** Transactions under way that count for this rule. */
  heldBy(place: number): number {
    return this.running.filter(({ claim }) => ruleOfClaim(claim) === place).length
  }

  maxOf(place: number): number {
    const max = this.policy.rules[place]?.max ?? null
    const most = max === null ? this.#limit : Math.max(1, slotsOf(max, this.#limit, Math.ceil))
    return most < this.#limit ? most : Number.POSITIVE_INFINITY
  }

  mayBegin(claim: number): boolean {
    const place = ruleOfClaim(claim)
    return this.admission.slots.mayTake(tierOfClaim(claim)) && (place < 0 || this.heldBy(place) < this.maxOf(place))
  }

  /** Of all who wait and may go on, nobody has their turn before this one. */
  assertFirst(waiter: Waiter): void {
    const turnOf = ({ tier, waitingSince }: Waiter) => {
      const isUnder = this.admission.slots.isUnderReserve(tier)
      return turn(tier, this.now - waitingSince, isUnder, this.policy.admission.ageMs)
    }
    for (const other of this.waiting) {
      if (other === waiter || !this.mayBegin(other.waitsAs)) continue
      const [own, others] = [turnOf(waiter), turnOf(other)]
      assert.ok(own < others || (own === others && waiter.waitingSince <= other.waitingSince), 'out of turn')
    }
  }
}
