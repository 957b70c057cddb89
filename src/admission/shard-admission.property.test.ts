import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readShardLoad } from '../memory/shard-records.ts'
import { claimOf, ruleOfClaim, tierOfClaim } from '../shard/claim.ts'
import { NO_POLICY, type Policy, type TierRule } from '../shard/policy.ts'
import { EMPTY_RULE } from '../shard/tier-rule.fixture.ts'
import { type Pool, type Waiter, World } from './admission-world.fixture.ts'

const AGE = 1000
const TIERS = 4

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

const some = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<T | null> => fc.option(value, { freq: 1 })

const rules: fc.Arbitrary<readonly TierRule[]> = fc
  .array(
    fc.record({
      user: fc.constantFrom('ann', 'bob', '*'),
      max: some(fc.record({ slots: fc.integer({ min: 1, max: 5 }), percent: fc.constantFrom(0, 30) })),
      queue: some(fc.nat(8)),
      shedOrder: some(fc.nat(5)),
    }),
    { maxLength: 3 },
  )
  .map((all) => all.map((rule) => ({ ...EMPTY_RULE, ...rule })))

const stepOfSomebody = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('arrive' as const),
      tier: fc.nat(3),
      pool: fc.nat(1),
      user: fc.constantFrom('ann', 'bob', 'eve'),
    }),
  },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('end' as const), index: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('pass' as const), ms: fc.nat(700) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('reload' as const), rules }) },
)

test('with rules: nobody has more than its rule allows, nobody waits behind who may not go on, everybody goes in turn', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      policy,
      rules,
      fc.array(stepOfSomebody, { maxLength: 200 }),
      (limit, base, first, steps) => {
        // `begin` and `serve` of this world check maxima and turns against counts of their own.
        const world = new World(limit, { ...base, rules: first })
        for (const each of steps) {
          if (each.kind === 'arrive')
            assertBound(world, world.arrive(each.tier, world.pools[each.pool] as Pool, each.user))
          else if (each.kind === 'end') world.end(each.index)
          else if (each.kind === 'reload') world.reload(each.rules)
          else world.now += each.ms
          for (const { waitsAs } of world.waiting) assert.ok(!world.mayBegin(waitsAs), 'work conserving')
          for (const place of world.policy.rules.keys()) {
            if (world.admission.rules.held.length > 0)
              assert.equal(world.admission.rules.held[place], world.heldBy(place), 'accounts')
          }
          assertTold(world)
        }
        while (world.running.length > 0) world.end(0)
        assert.deepEqual([world.waiting.length, world.admission.busy], [0, 0])
        assert.ok(world.admission.rules.held.every((count) => count === 0))
        assertTold(world)
      },
    ),
    { numRuns: 300 },
  )
})

/** Others are told of those who wait for their tier, not of those whom their rule holds back. */
function assertTold(world: World): void {
  const claims = world.waiting.map(({ waitsAs }) => waitsAs)
  for (const place of world.policy.rules.keys()) {
    assert.equal(world.admission.waitingOf(place), claims.filter((claim) => ruleOfClaim(claim) === place).length)
  }
  const isHeldBack = (place: number) => place >= 0 && world.heldBy(place) >= world.maxOf(place)
  const waiting = claims.filter((claim) => !isHeldBack(ruleOfClaim(claim))).map(tierOfClaim)
  assert.deepEqual(
    readShardLoad(world.records, 0, 3)?.tiers.map((tier) => tier.waiting),
    [0, 1, 2, 3].map((code) => waiting.filter((tier) => tier === code).length),
  )
}

/** Of its rule no more wait than may, where it has a queue of its own; those of its tier do not count for that. */
function assertBound({ policy: { tiers, rules: all }, waiting }: World, { waitsAs, tier, claim }: Waiter): void {
  if (waitsAs < 0) return
  const place = ruleOfClaim(claim)
  const most = all[place]?.queue ?? tiers[tier]?.queue ?? 0
  const others = waiting.filter((each) => each.waitsAs >> 2 === claim >> 2 && (place >= 0 || each.tier === tier))
  assert.ok(others.length <= most, `${others.length} of ${most} wait`)
}

test('a rule’s clients at their maximum are in nobody’s way, keep their place, and have a queue of their own', () => {
  const rule: TierRule = { ...EMPTY_RULE, user: 'ann', max: { slots: 2, percent: 0 }, queue: 3 }
  const tiers = NO_POLICY.tiers.map((tier) => ({ ...tier, queue: 1 }))
  const world = new World(4, { ...NO_POLICY, tiers, rules: [rule] })
  const pool = world.pools[0] as Pool
  const ann = Array.from({ length: 6 }, () => world.arrive(2, pool, 'ann'))
  assert.deepEqual(
    ann.map(({ servedAt, refused }) => (refused === null ? servedAt > 0 : 'refused')),
    [true, true, false, false, false, 'refused'],
  )
  assert.match(ann[5]?.refused ?? '', /too many transactions like this one wait for shard "db3"/)
  const [bob, eve] = [world.arrive(2, pool, 'bob'), world.arrive(3, pool, 'eve')]
  assert.ok(bob.servedAt > 0 && eve.servedAt > 0)
  const [carl, late] = [world.arrive(2, pool, 'carl'), world.arrive(2, pool, 'carl')]
  assert.deepEqual([carl.refused, late.refused === null], [null, false])
  const low = () => readShardLoad(world.records, 0, 3)?.tiers[2]
  assert.equal(low()?.waiting, 1, 'carl')
  // One of bob's: carl, who came later than ann, goes on; ann has two.
  world.end(2)
  assert.ok(carl.servedAt > 0 && ann[2]?.servedAt === -1)
  // One of ann's: the next one of hers, in the order in which they came.
  world.end(0)
  assert.ok((ann[2]?.servedAt ?? -1) > 0 && ann[3]?.servedAt === -1)
})

test('a wait because of a rule is none of its tier, one for a slot of the tier is', () => {
  const rule: TierRule = { ...EMPTY_RULE, user: 'ann', max: { slots: 1, percent: 0 } }
  const claim = claimOf(2, 0)
  /** It waits for 300 ms, and the rule has had all that it may until so long ago. */
  const waitsCounted = (ago: number): number | undefined => {
    const world = new World(2, { ...NO_POLICY, rules: [rule] })
    world.admission.take(claim)
    world.admission.release(claim)
    world.now += ago
    world.admission.take(claim)
    world.admission.waited(claim, 300)
    return readShardLoad(world.records, 0, 3)?.tiers[2]?.waits
  }
  assert.deepEqual([waitsCounted(0), waitsCounted(299), waitsCounted(301)], [0, 0, 1])
})

test('who waits is sorted anew when rules change, and keeps the time that it has waited', () => {
  const world = new World(2, NO_POLICY)
  const pool = world.pools[0] as Pool
  for (let running = 0; running < 2; running++) world.arrive(1, pool, 'ann')
  const waiters = ['ann', 'bob', 'ann', 'bob'].map((user) => world.arrive(1, pool, user))
  const since = waiters.map(({ waitingSince }) => waitingSince)
  world.reload([{ ...EMPTY_RULE, user: 'ann', max: { slots: 1, percent: 0 } }])
  assert.deepEqual(
    waiters.map(({ waitingSince }) => waitingSince),
    since,
  )
  const begun = () => waiters.map(({ servedAt }) => servedAt > 0)
  // Two of ann's run, and now only one may.
  world.end(0)
  assert.deepEqual(begun(), [false, true, false, false])
  world.end(0)
  assert.deepEqual(begun(), [true, true, false, false])
  world.reload([])
  world.end(0)
  assert.deepEqual(begun(), [true, true, true, false])
})

test('when too many wait, a rule’s shed order decides for its clients', () => {
  const tiers = NO_POLICY.tiers.map((tier, code) => ({ ...tier, shedOrder: code + 1 }))
  const shedding = (user: string, shedOrder: number): TierRule => ({ ...EMPTY_RULE, user, shedOrder })
  const admission = { ...NO_POLICY.admission, maxWaiting: 3 }
  const world = new World(1, { ...NO_POLICY, admission, tiers, rules: [shedding('ann', 9), shedding('bob', 0)] })
  const pool = world.pools[0] as Pool
  world.arrive(0, pool)
  const [ann, bob, low] = [world.arrive(0, pool, 'ann'), world.arrive(3, pool, 'bob'), world.arrive(2, pool)]
  const fourth = world.arrive(0, pool)
  assert.match(ann.refused ?? '', /too many transactions wait for shard "db3", and this one is among those/)
  const fifth = world.arrive(0, pool)
  assert.match(low.refused ?? '', /those of tier "low" are refused first/)
  assert.deepEqual([bob.refused, fourth.refused, fifth.refused], [null, null, null])
})

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
