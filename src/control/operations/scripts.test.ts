import assert from 'node:assert/strict'
import { test } from 'node:test'
import { chooseCandidate } from './best-replica.ts'
import { drain, undrain } from './drain.ts'
import { failover } from './failover.ts'
import { patch } from './patch.ts'
import { rejoin } from './rejoin.ts'
import { restart } from './restart.ts'
import { resumeSwitchover, switchover } from './switchover.ts'
import { TestWorld, walk } from './test-world.fixture.ts'

test('the replica with the most log is chosen, the first of equals, one that says nothing last', () => {
  const of = (...received: (bigint | null)[]) =>
    chooseCandidate(received.map((lsn, at) => ({ shard: { name: String(at) } as never, received: lsn })))?.shard.name
  assert.deepEqual([of(1n, 3n, 3n, 2n), of(null, 0n), of(null, null), of()], ['1', '1', '0', undefined])
})

test('a restart holds, stops, starts and releases', async () => {
  const world = new TestWorld()
  assert.equal(await walk(restart(world, 'one')), null)
  assert.deepEqual(world.story, ['checkpoint one', 'hold one', 'stop one', 'start one', 'goes on', 'release one'])
})

test('a restart of a server that is down writes no checkpoint', async () => {
  const world = new TestWorld()
  world.roles.set('one', { role: 'primary', up: false })
  await walk(restart(world, 'one'))
  assert.equal(world.story[0], 'hold one')
})

test('a server that was stopped and failed to stop in order is started again', async () => {
  const world = new TestWorld()
  world.failing.add('stop one')
  assert.equal(await walk(restart(world, 'one')), 'stop one failed')
  assert.equal(world.story.at(-1), 'start one')
})

const SWITCHED = [
  'prepare two',
  'checkpoint one',
  'hold one',
  'stop one',
  'promote two',
  'two is primary',
  'goes on',
  'three follows two',
  'one follows two',
]

test('a switchover promotes what has all of the log, and lets the others follow', async () => {
  const world = new TestWorld()
  const script = await switchover(world, 'main', null)
  assert.deepEqual(script.decided, { kind: 'switchover', group: 'main', to: 'two', from: 'one' })
  assert.equal(await walk(script), null)
  assert.deepEqual(world.story, SWITCHED)
})

test('a switchover takes the replica with the most log when none is named, and the named one otherwise', async () => {
  const world = new TestWorld()
  world.positions.set('three', { isInRecovery: true, received: 151n, replayed: 140n })
  const chosen = await switchover(world, 'main', null)
  const named = await switchover(world, 'main', 'two')
  assert.deepEqual(
    [chosen, named].map(({ decided }) => decided?.kind === 'switchover' && decided.to),
    ['three', 'two'],
  )
})

test('a replica that lacks a byte of the log is not promoted: the old primary is started again', async () => {
  const world = new TestWorld()
  world.end = 150n
  world.positions.set('two', { isInRecovery: true, received: 150n, replayed: 150n })
  const script = await switchover(world, 'main', 'two')
  assert.match((await walk(script)) ?? '', /two has the log of one up to 0\/96 only, and not 0\/96/)
  assert.deepEqual(world.story.slice(-2), ['stop one', 'start one'])
})

test('a primary that was not shut down in good order is not replaced', async () => {
  const world = new TestWorld()
  world.end = null
  assert.match((await walk(await switchover(world, 'main', 'two'))) ?? '', /not shut down in good order/)
  assert.ok(!world.story.includes('promote two'))
})

test('a replica that does not stream is not waited for', async () => {
  const world = new TestWorld()
  world.isStreaming = false
  assert.match((await walk(await switchover(world, 'main', 'two'))) ?? '', /does not stream/)
  assert.ok(!world.story.includes('hold one'))
})

test('what a switchover cannot be is refused', async () => {
  const world = new TestWorld()
  for (const [group, to, sqlstate] of [
    ['none', null, '42704'],
    ['main', 'four', '42704'],
    ['main', 'one', '55000'],
  ] as const) {
    await assert.rejects(switchover(world, group, to), { sqlstate })
  }
  world.roles.set('two', { role: 'replica', up: false })
  await assert.rejects(switchover(world, 'main', 'two'), { sqlstate: '55000' })
  world.roles.set('three', { role: 'replica', up: false })
  await assert.rejects(switchover(world, 'main', null), { sqlstate: '55000' })
  world.roles.set('one', { role: 'primary', up: false })
  await assert.rejects(switchover(world, 'main', 'two'), { sqlstate: '55000' })
})

test('an interrupted switchover is gone on with: from its beginning, or, when the new primary is one, with the rest', async () => {
  const early = new TestWorld()
  early.roles.set('one', { role: 'primary', up: false })
  assert.equal(await walk(resumeSwitchover(early, { group: 'main', from: 'one', to: 'two' })), null)
  assert.deepEqual(early.story, SWITCHED.slice(2))
  const late = new TestWorld()
  late.roles.set('one', { role: 'primary', up: false })
  late.roles.set('two', { role: 'primary', up: true })
  await walk(resumeSwitchover(late, { group: 'main', from: 'one', to: 'two' }))
  assert.deepEqual(late.story, ['three follows two', 'one follows two'])
})

test('a failover cuts and fences before it promotes, and says whether commits may be lost', async () => {
  const world = new TestWorld()
  world.roles.set('one', { role: 'primary', up: false })
  world.positions.set('three', { isInRecovery: true, received: 200n, replayed: 100n })
  assert.equal(await walk(failover(world, 'main', 'one')), null)
  const plain = world.story.filter((line) => !line.startsWith('says'))
  assert.deepEqual(plain, [
    'cut one',
    'fence one',
    'promote three',
    'three is primary',
    'goes on',
    'prepare three',
    'two follows three',
    'one rejoins three',
  ])
  assert.match(world.story.find((line) => line.startsWith('says')) ?? '', /may be lost/)
})

test('with synchronous replicas nothing acknowledged is lost, and that is said', async () => {
  const world = new TestWorld()
  world.standbys = 'ANY 1 (*)'
  await walk(failover(world, 'main', 'one'))
  assert.match(world.story.find((line) => line.startsWith('says')) ?? '', /every commit that was acknowledged/)
})

test('a failover that finds a primary promotes nobody else', async () => {
  const world = new TestWorld()
  world.positions.set('three', { isInRecovery: false, received: 1n, replayed: 1n })
  await walk(failover(world, 'main', 'one'))
  assert.ok(!world.story.some((line) => line.startsWith('promote')))
  assert.ok(world.story.includes('one rejoins three'))
})

test('a replica that has just come back follows the new primary as well, or later; one that is down does when it is back', async () => {
  for (const [health, fails, follows] of [
    ['starting', false, true],
    ['starting', true, false],
    ['down', false, false],
  ] as const) {
    const world = new TestWorld()
    world.roles.set('two', { role: 'replica', up: false, health })
    world.positions.set('three', { isInRecovery: true, received: 200n, replayed: 100n })
    if (fails) world.failing.add('two follows three')
    assert.equal(await walk(failover(world, 'main', 'one')), null)
    assert.equal(world.roles.get('two')?.up, follows || fails)
    assert.equal(world.story.includes('two rejoins three'), false)
    assert.equal(world.story.includes('one rejoins three'), true)
    assert.equal(world.story.includes('says: two is away: it follows three when it is back.'), health === 'down')
  }
})

test('a replica that goes away in the middle of a failover or a switchover holds up nobody', async () => {
  const lost = new TestWorld()
  lost.positions.set('three', { isInRecovery: true, received: 200n, replayed: 100n })
  lost.failing.add('two follows three')
  assert.equal(await walk(failover(lost, 'main', 'one')), null)
  assert.ok(lost.story.includes('one rejoins three'))
  const switched = new TestWorld()
  switched.failing.add('three follows two')
  assert.equal(await walk(await switchover(switched, 'main', 'two')), null)
  assert.ok(switched.story.includes('says: three does not follow two yet: three follows two failed'))
})

test('a replica that does not follow is told to, and copied when that is not enough', async () => {
  const well = new TestWorld()
  assert.equal(await walk(rejoin(well, 'two')), null)
  assert.deepEqual(well.story, ['prepare one', 'two follows one'])
  const apart = new TestWorld()
  apart.isStreaming = false
  assert.equal(await walk(rejoin(apart, 'two')), null)
  assert.deepEqual(apart.story, ['prepare one', 'two follows one', 'two rejoins one'])
})

test('a replica that gets on is waited for, and an operation that has to make way ends', async () => {
  const world = new TestWorld()
  world.isStreaming = false
  let asked = 0
  world.positions.get = () => {
    if (++asked === 5) world.abort.abort(new Error('a failover comes'))
    return { isInRecovery: true, received: 1n, replayed: BigInt(asked) }
  }
  assert.equal(await walk(rejoin(world, 'two')), 'a failover comes')
  assert.ok(!world.story.includes('two rejoins one'))
})

test('an old primary that runs as one is stopped before it follows; the primary itself is left alone', async () => {
  const world = new TestWorld()
  world.roles.set('three', { role: 'unknown', up: false })
  world.positions.set('three', { isInRecovery: false, received: 1n, replayed: 1n })
  assert.equal(await walk(rejoin(world, 'three')), null)
  assert.deepEqual(world.story, ['prepare one', 'cut three', 'stop three', 'three follows one'])
  assert.throws(() => rejoin(world, 'one'), { sqlstate: '55000' })
  // It was started, and tried at once: there is nothing to be gained from another attempt.
  world.isStreaming = false
  assert.equal(await walk(rejoin(world, 'three')), null)
  assert.equal(world.story.at(-1), 'three rejoins one at once')
})

test('without a replica that answers the lost primary is started again in its place', async () => {
  const world = new TestWorld()
  for (const name of ['two', 'three']) world.positions.set(name, new Error('connection refused'))
  await walk(failover(world, 'main', 'one'))
  assert.deepEqual(
    world.story.filter((line) => !line.startsWith('says')),
    ['cut one', 'fence one', 'start one', 'goes on', 'release one'],
  )
})

test('a failover that cannot promote leaves a group with its old primary', async () => {
  const world = new TestWorld()
  world.failing.add('promote two')
  assert.equal(await walk(failover(world, 'main', 'one')), 'promote two failed')
  assert.equal(world.story.at(-1), 'start one')
})

test('a patch restarts the replicas one by one, then the primary behind one of them', async () => {
  const world = new TestWorld()
  assert.equal(await walk(patch(world, 'main', '/new/bin')), null)
  const replica = (name: string) => [
    `${name} is drained`,
    `hold ${name}`,
    `use ${name} /new/bin`,
    `checkpoint ${name}`,
    `hold ${name}`,
    `stop ${name}`,
    `start ${name}`,
    'goes on',
    `release ${name}`,
    `${name} is not drained`,
    `release ${name}`,
  ]
  assert.deepEqual(world.story, [...replica('two'), ...replica('three'), 'use one /new/bin', ...SWITCHED])
  assert.deepEqual(world.finished, ['two', 'three', 'one'])
})

test('an interrupted patch leaves alone what it has finished with', async () => {
  const world = new TestWorld()
  world.finished.push('two')
  await walk(patch(world, 'main', null))
  assert.deepEqual(
    world.story.filter((line) => line.startsWith('use')),
    ['use three null', 'use one null'],
  )
})

test('programs with which a replica does not start are given up, and the rest of the group keeps its own', async () => {
  const world = new TestWorld()
  world.failing.add('start two')
  await walk(patch(world, 'main', '/bad')).catch(() => {})
  assert.deepEqual(
    world.story.filter((line) => line.startsWith('use')),
    ['use two /bad', 'use two old'],
  )
})

test('a lone primary is patched by a restart, and a group of which not all runs not at all', async () => {
  const alone = new TestWorld()
  for (const name of ['two', 'three']) alone.roles.delete(name)
  assert.equal(await walk(patch(alone, 'main', null)), null)
  assert.deepEqual(alone.story.slice(0, 3), ['use one null', 'checkpoint one', 'hold one'])
  const ill = new TestWorld()
  ill.roles.set('two', { role: 'replica', up: false })
  assert.throws(() => patch(ill, 'main', null), { sqlstate: '55000' })
})

test('a replica is drained and used again, a primary is not', async () => {
  const world = new TestWorld()
  await walk(drain(world, 'two'))
  await walk(undrain(world, 'two'))
  assert.deepEqual(world.story, ['two is drained', 'hold two', 'two is not drained', 'release two'])
  assert.throws(() => drain(world, 'one'), { sqlstate: '55000' })
})
