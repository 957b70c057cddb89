import assert from 'node:assert/strict'
import { createServer } from 'node:net'
import { type TestContext, test } from 'node:test'
import { freezeShard } from './failover.fixture.ts'
import { FailoverWatch } from './failover-watch.ts'
import { lostPrimaries } from './lost-primary.ts'
import { isGone, knock } from './primary-check.ts'

const lost = freezeShard({ id: 1, name: 'one', role: 'primary', up: false })
const replica = freezeShard({ id: 2, name: 'two', role: 'replica', up: true })
const topologyOf = (...shards: (typeof lost)[]) => ({ version: 1, shards })
const all = () => true

test('a primary that is down is lost, when its group has no other and all of the group is ours', () => {
  assert.deepEqual(lostPrimaries(topologyOf(lost, replica), all), [lost])
  assert.deepEqual(lostPrimaries(topologyOf({ ...lost, up: true }, replica), all), [])
  assert.deepEqual(lostPrimaries(topologyOf({ ...lost, role: 'unknown' }, replica), all), [])
  assert.deepEqual(lostPrimaries(topologyOf(lost, { ...replica, role: 'primary' }), all), [])
  assert.deepEqual(
    lostPrimaries(topologyOf(lost, replica), ({ id }) => id === 1),
    [],
  )
  assert.deepEqual(
    lostPrimaries(topologyOf(lost, { ...replica, group: 'other' }), ({ id }) => id === 1),
    [lost],
  )
})

test('one answer is enough for life, and it takes all refusals for death', async () => {
  const pauses: number[] = []
  const pause = async (ms: number): Promise<void> => {
    pauses.push(ms)
  }
  const answers = [false, false, true]
  assert.equal(await isGone({ refusals: 3, pauseMs: 7 }, async () => answers.shift() as boolean, pause), false)
  assert.deepEqual([pauses, answers], [[7, 7], []])
  assert.equal(await isGone({ refusals: 3, pauseMs: 7 }, async () => false, pause), true)
})

async function serve(t: TestContext, answer: string | null): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => {})
    if (answer !== null) socket.once('data', () => socket.end(answer))
    t.after(() => socket.destroy())
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.after(() => server.close())
  const address = server.address()
  assert.ok(typeof address === 'object' && address !== null)
  return address.port
}

test('a door is answered by a server that speaks, not by one that is frozen or gone', async (t) => {
  assert.equal(await knock('127.0.0.1', await serve(t, 'N'), 5000), true)
  assert.equal(await knock('127.0.0.1', await serve(t, null), 50), false)
  assert.equal(await knock('/nowhere/.s.PGSQL.5432', 5432, 5000), false)
})

function watch(options: {
  mode?: 'follow' | 'local'
  isBusy?: boolean
  answers?: boolean[]
  claims?: string[]
  promoted?: boolean
}) {
  const story: string[] = []
  const told: string[] = []
  let isPromoted = false
  const operations = {
    isBusy: options.isBusy ?? false,
    run: async (request: object) => {
      story.push(JSON.stringify(request))
      throw new Error('not in this test')
    },
  }
  const watched = new FailoverWatch({
    settings: () => ({ mode: options.mode ?? 'local', refusals: 3, pauseMs: 1 }),
    topology: () => topologyOf(lost, isPromoted ? { ...replica, role: 'primary' } : replica),
    isOurs: all,
    operations,
    claim: async () => options.claims?.shift() ?? { release: async () => {} },
    knock: async () => {
      story.push('knock')
      return options.answers?.shift() ?? false
    },
    pause: async () => {
      isPromoted = options.promoted === true
    },
    onAlive: ({ name }) => story.push(`${name} is alive`),
    events: { publish: ({ kind, shard, what }) => told.push(`${kind} ${shard}: ${what}`) },
  })
  return { watched, story, told }
}

const settled = () => new Promise((resolve) => setImmediate(resolve))

test('a lost primary is replaced once it has refused often enough', async () => {
  const { watched, story } = watch({})
  watched.look()
  watched.look()
  await settled()
  assert.deepEqual(story, ['knock', 'knock', 'knock', '{"kind":"failover","group":"main","lost":"one"}'])
})

test('when somebody else promotes a replica meanwhile, the others and the lost one still have to follow it', async () => {
  const { watched, story } = watch({ promoted: true })
  watched.look()
  await settled()
  assert.equal(story.at(-1), '{"kind":"failover","group":"main","lost":"one"}')
})

test('one that answers is left alone', async () => {
  const { watched, story, told } = watch({ answers: [false, true] })
  watched.look()
  await settled()
  assert.deepEqual(story, ['knock', 'knock', 'one is alive'])
  assert.deepEqual(told, ['failover one: one, the primary of main, seems lost', 'failover one: one is not lost'])
})

test('nothing is done where others decide, or while an operation is at work', async () => {
  for (const options of [{ mode: 'follow' }, { isBusy: true }] as const) {
    const { watched, story } = watch(options)
    watched.look()
    await settled()
    assert.deepEqual(story, [])
  }
})

test('while another router decides nothing is done, and then it is made sure of again', async () => {
  const claims = ['process 7 decides', 'process 7 decides', 'process 8 decides']
  const { watched, story, told } = watch({ claims, answers: [false, true] })
  watched.look()
  await settled()
  assert.deepEqual(story, ['knock', 'knock', 'one is alive'])
  assert.deepEqual(told, [
    'failover one: one, the primary of main, seems lost',
    'failover one: another router decides about main',
    'failover one: another router decides about main',
    'failover one: one is not lost',
  ])
})
