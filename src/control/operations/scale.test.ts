import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OperationWorld } from './operation.ts'
import { scaleIn, scaleOut } from './scale.ts'
import { TestWorld, walk } from './test-world.fixture.ts'

const NEW = { group: 'main', pool: null, shard: 'four' }

/** One that was added and serves. */
function withFour(): TestWorld {
  const world = new TestWorld()
  world.scale.begin(NEW)
  world.added.set('four', { ...world.added.get('four')!, state: 'serving' })
  world.roles.set('four', { role: 'replica', up: true })
  world.story.length = 0
  return world
}

test('a shard is written down, made, waited for, and then told to planes', async () => {
  const world = new TestWorld()
  const script = scaleOut(world, 'main', null)
  assert.deepEqual(script.decided, { kind: 'scale-out', target: 'main', choice: NEW })
  assert.equal(await walk(script), null)
  assert.deepEqual(world.story, ['begin four', 'create four', 'four has caught up', 'serve four'])
})

test('what was decided is decided when it goes on', async () => {
  const world = new TestWorld()
  await walk(scaleOut(world, 'main', { ...NEW, shard: 'five' }))
  assert.equal(world.story[0], 'begin five')
})

test('a step that fails leaves nothing', async () => {
  for (const step of ['create four', 'four has caught up', 'serve four']) {
    const world = new TestWorld()
    world.failing.add(step)
    assert.equal(await walk(scaleOut(world, 'main', null)), `${step} failed`)
    assert.deepEqual(world.story.slice(-2), ['leave four', 'destroy four'])
    assert.equal(world.added.size, 0)
  }
})

test('one that has to make way is cleared away later', async () => {
  const world = new TestWorld()
  world.failing.add('create four')
  world.abort.abort()
  await walk(scaleOut(world, 'main', null))
  assert.deepEqual(world.story, ['begin four', 'create four', 'leave four'])
})

test('a shard is drained, left out, and only then destroyed', async () => {
  const world = withFour()
  const script = scaleIn(world, null)
  assert.deepEqual(script.decided, { kind: 'scale-in', shard: 'four' })
  assert.equal(await walk(script), null)
  const expected = ['four is drained', 'hold four', 'leave four', 'four is not drained', 'release four', 'destroy four']
  assert.deepEqual(world.story, expected)
})

test('one that cannot be drained is used again; one that cannot be destroyed is not', async () => {
  const world = withFour()
  world.failing.add('hold four')
  assert.equal(await walk(scaleIn(world, 'four')), 'hold four failed')
  assert.deepEqual(world.story.slice(-2), ['four is not drained', 'release four'])
  const other = withFour()
  other.failing.add('destroy four')
  assert.equal(await walk(scaleIn(other, 'four')), 'destroy four failed')
  assert.deepEqual(other.story.slice(-2), ['release four', 'destroy four'])
  assert.equal(other.added.size, 1)
})

test('what is left of an earlier attempt is destroyed without a shard to drain', async () => {
  const world = withFour()
  world.roles.delete('four')
  await walk(scaleIn(world, 'four'))
  assert.deepEqual(world.story, ['leave four', 'four is not drained', 'destroy four'])
})

test('only added shards are taken away, and no primary', () => {
  const refused = (world: OperationWorld, name: string | null, text: RegExp): void => {
    assert.throws(
      () => scaleIn(world, name),
      (error) => error instanceof Error && text.test(error.message),
    )
  }
  refused(new TestWorld(), null, /none to take away/)
  refused(new TestWorld(), 'two', /was not added by SCALE OUT/)
  refused(new TestWorld(), 'nine', /There is no shard "nine"/)
  const world = withFour()
  world.roles.set('four', { role: 'primary', up: true })
  refused(world, 'four', /is the primary of group main/)
})
