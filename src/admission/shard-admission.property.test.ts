import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { SHARD_RECORD_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { readShardLoad, SHARD_RECORDS } from '../memory/shard-records.ts'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import { type LanePool, ShardLane } from '../server/shard-lane.ts'
import { WaitingLine } from '../server/waiting-line.ts'
import { NO_POLICY, type Policy } from '../shard/policy.ts'
import { ShardAdmission } from './shard-admission.ts'

const AGE = 1000
const TIERS = 4

class Waiter implements PoolWaiter {
  fifoPrevious = null
  fifoNext = null
  fifo = null
  waitsAs = -1
  waitingSince = 0
  readonly tier: number
  readonly number: number
  pool: Pool | null = null
  servedAt = -1
  refused: string | null = null

  constructor(tier: number, number: number) {
    this.tier = tier
    this.number = number
  }

  onServer(): void {}
  requeue(): void {}
  onPoolFailed({ message }: { readonly message: string }): void {
    this.refused = message
  }
}

/** A pool without server connections: there are always enough. */
class Pool implements LanePool {
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

  serveFirst(): boolean {
    const waiter = this.line.first() as Waiter | null
    if (waiter === null) return false
    const tier = waiter.waitsAs
    this.leave(waiter)
    this.#world.begin(waiter, tier)
    return true
  }

  reconsider(): void {}

  newest(tier: number): PoolWaiter | null {
    return this.line.newest(tier)
  }

  leave(waiter: PoolWaiter): void {
    const before = this.line.length
    this.line.remove(waiter)
    this.#world.lane.count(this.line.length - before)
  }
}

class World {
  planeIndex = 0
  now = 10_000
  readonly records = new Region(new ArrayBuffer(SHARD_RECORD_BYTES * SHARD_RECORDS * 2), 0, SHARD_RECORD_BYTES, 256)
  readonly admission = new ShardAdmission(this, { id: 3, name: 'db3' }, this.records)
  readonly lane = new ShardLane(this.admission)
  readonly pools: readonly Pool[] = [new Pool(this), new Pool(this)]
  readonly running: { waiter: Waiter; tier: number }[] = []
  readonly all: Waiter[] = []
  readonly served: Waiter[] = []

  constructor(limit: number, policy: Policy) {
    this.admission.configure(limit, policy)
    for (const pool of this.pools) this.lane.add(pool)
  }

  arrive(tier: number, pool: Pool): Waiter {
    const waiter = new Waiter(tier, this.all.length)
    this.all.push(waiter)
    const refusal = this.admission.refusal(tier)
    if (!pool.line.has(tier) && this.admission.mayTake(tier)) this.begin(waiter, tier)
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

  begin(waiter: Waiter, tier: number): void {
    this.admission.take(tier)
    waiter.servedAt = this.now
    this.served.push(waiter)
    this.running.push({ waiter, tier })
  }

  end(index: number): void {
    const [ended] = this.running.splice(index % Math.max(1, this.running.length), 1)
    if (ended === undefined) return
    this.admission.release(ended.tier)
    this.lane.serve(this.pools[0] as Pool)
  }
}

const share = fc.oneof(
  fc.record({ slots: fc.nat(6), percent: fc.constant(0) }),
  fc.record({ slots: fc.constant(0), percent: fc.nat(30) }),
)

const policy = fc
  .array(
    fc.record({
      reserved: share,
      kept: share,
      max: fc.record({ slots: fc.integer({ min: 1, max: 9 }), percent: fc.nat(90) }),
    }),
    {
      minLength: TIERS,
      maxLength: TIERS,
    },
  )
  .map((changes): Policy => {
    return {
      ...NO_POLICY,
      admission: { ...NO_POLICY.admission, ageMs: AGE, maxWaiting: 50 },
      tiers: NO_POLICY.tiers.map((tier, code) => ({ ...tier, ...changes[code], queue: 40, shedOrder: code })),
    }
  })

const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('arrive' as const), tier: fc.nat(3), pool: fc.nat(1) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('end' as const), index: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(700) }) },
)

test('bounds hold, nobody waits in vain, and within tier and pool the first comes first', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 12 }), policy, fc.array(step, { maxLength: 200 }), (limit, rules, steps) => {
      const world = new World(limit, rules)
      const { slots } = world.admission
      for (const each of steps) {
        if (each.kind === 'arrive') world.arrive(each.tier, world.pools[each.pool] as Pool)
        else if (each.kind === 'end') world.end(each.index)
        else world.now += each.ms
        assert.ok(slots.total <= limit)
        for (let tier = 0; tier < TIERS; tier++) assert.ok((slots.held[tier] ?? 0) <= slots.maxOf(tier))
        for (const { line } of world.pools) assert.equal(line.first(), null, 'work conserving')
        assert.ok(world.pools.reduce((sum, { line }) => sum + line.length, 0) <= 51)
      }
      for (const pool of world.pools) {
        for (let tier = 0; tier < TIERS; tier++) {
          const numbers = world.served.filter((each) => each.tier === tier && each.pool === pool).map(number)
          assert.deepEqual(
            numbers,
            numbers.toSorted((one, other) => one - other),
          )
        }
      }
      const view = readShardLoad(world.records, 0, 3)
      assert.deepEqual(
        view?.tiers.map(({ held }) => held),
        [...slots.held],
      )
      assert.equal(
        view?.tiers.reduce((sum, { waiting }) => sum + waiting, 0),
        world.pools.reduce((sum, { line }) => sum + line.length, 0),
      )
      assert.equal(
        view?.tiers.reduce((sum, { admitted }) => sum + admitted, 0),
        world.served.length,
      )
    }),
    { numRuns: 300 },
  )
})

const number = (waiter: Waiter): number => waiter.number

test('under a load of the highest tier that never ends, every other tier is served within a bounded time', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 8 }), policy, fc.integer({ min: 1, max: 3 }), (limit, rules, tier) => {
      const world = new World(limit, rules)
      const pool = world.pools[0] as Pool
      for (let filled = 0; filled < limit + 30; filled++) world.arrive(0, pool)
      const victim = world.arrive(tier, world.pools[1] as Pool)
      for (let round = 0; victim.servedAt < 0 && round < 600; round++) {
        world.now += 100
        world.end(0)
        world.arrive(0, pool)
      }
      assert.ok(victim.servedAt >= 0)
      // Aged past all tiers, it waits for those that came before it and no more.
      if (victim.pool === null) return
      assert.ok(victim.servedAt - victim.waitingSince <= (tier + 1) * AGE + (limit + 31) * 100)
    }),
    { numRuns: 100 },
  )
})

test('when too many wait, the newest of the tier that goes first is refused', () => {
  const world = new World(1, {
    ...NO_POLICY,
    admission: { ...NO_POLICY.admission, maxWaiting: 2 },
    tiers: NO_POLICY.tiers.map((tier, code) => ({ ...tier, shedOrder: code, queue: 2 })),
  })
  const pool = world.pools[0] as Pool
  const [, low, background, later, high] = [0, 2, 3, 3, 0].map((tier) => world.arrive(tier, pool))
  assert.match(later?.refused ?? '', /too many transactions wait for shard "db3", and those of tier "background"/)
  assert.match(background?.refused ?? '', /are refused first/)
  assert.deepEqual([low?.refused, high?.refused], [null, null])
  // Never for others' sake: tier high has shed order 0 here, but a queue of two.
  const [third, fourth] = [world.arrive(0, pool), world.arrive(0, pool)]
  assert.equal(third?.refused, null)
  assert.match(low?.refused ?? '', /tier "low"/)
  assert.match(fourth?.refused ?? '', /too many transactions of tier "high" wait for shard "db3"/)
})
