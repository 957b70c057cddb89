import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Shard } from '../../shard/topology.ts'
import type { StreamState } from '../monitor/stream-state.ts'
import type { OperationRecord } from '../operations/operation.ts'
import { freezeShard } from './failover.fixture.ts'
import { ReplicaWatch } from './replica-watch.ts'

const primary = freezeShard({ id: 1, name: 'one', role: 'primary', up: true })
const replica = freezeShard({ id: 2, name: 'two', role: 'replica', up: true })
const WELL: StreamState = { isInRecovery: true, isStreaming: true, timeline: 2, replayed: 100, retryMs: 1_000 }

/** A watch over two servers, of which the second one streams from nobody. */
class Scene {
  readonly story: string[] = []
  readonly told: string[] = []
  readonly said = new Map<string, StreamState | null>([
    ['one', { ...WELL, isInRecovery: false, isStreaming: false }],
    ['two', { ...WELL, isStreaming: false }],
  ])
  mode: 'follow' | 'local' = 'local'
  shards: readonly Shard[] = [primary, replica]
  isAtWork = false
  fails = true
  refusal: string | Error | null = null
  isOurs: (shard: Shard) => boolean = () => true
  now = 0
  readonly watch: ReplicaWatch

  constructor() {
    const scene = this
    this.watch = new ReplicaWatch({
      settings: () => ({ mode: this.mode }),
      topology: () => ({ version: 1, shards: this.shards }),
      isOurs: (shard) => this.isOurs(shard),
      operations: {
        get isAtWork() {
          return scene.isAtWork
        },
        run: async (request) => {
          scene.story.push(`${scene.now}: ${JSON.stringify(request)}`)
          if (scene.fails) throw new Error('not in this test')
          return {} as OperationRecord
        },
      },
      claim: async () => {
        if (this.refusal instanceof Error) throw this.refusal
        return this.refusal ?? { release: async () => {} }
      },
      ask: async ({ name }) => this.said.get(name) ?? null,
      now: () => this.now,
      events: { publish: ({ kind, shard, what, reason }) => this.told.push(`${kind} ${shard}: ${what}: ${reason}`) },
    })
    this.watch.start()
  }

  /** Looks every two seconds for so many seconds. */
  async pass(seconds: number): Promise<void> {
    for (let s = 0; s < seconds; s += 2) {
      await this.watch.look()
      this.now += 2_000
    }
  }
}

const REJOIN = '{"kind":"rejoin","group":"main","shard":"two"}'

test('a replica that has gone astray for longer than two attempts of its own is put right, again and again, ever less often', async (t) => {
  const scene = new Scene()
  t.after(() => scene.watch.close())
  await scene.pass(4)
  assert.deepEqual(scene.story, [])
  await scene.pass(120)
  assert.deepEqual(scene.story, [`4000: ${REJOIN}`, `34000: ${REJOIN}`, `94000: ${REJOIN}`])
  assert.deepEqual(scene.told, ['failover two: two does not follow one, the primary of main: it streams from nobody'])
})

test('the look that decides comes when the patience is over, not with the next turn', async (t) => {
  t.mock.timers.enable({ apis: ['setTimeout', 'setInterval'] })
  const scene = new Scene()
  t.after(() => scene.watch.close())
  scene.said.set('two', { ...WELL, isStreaming: false, retryMs: 100 })
  const turn = async (milliseconds: number): Promise<void> => {
    scene.now += milliseconds
    t.mock.timers.tick(milliseconds)
    await new Promise((resolve) => setImmediate(resolve))
  }
  await turn(2_000)
  await turn(2_000)
  assert.deepEqual(scene.story, [])
  await turn(200)
  assert.deepEqual(scene.story, [`4200: ${REJOIN}`])
})

test('one that streams again in time, or was away meanwhile, is left alone', async (t) => {
  for (const state of [WELL, null]) {
    const scene = new Scene()
    t.after(() => scene.watch.close())
    const astray = scene.said.get('two') ?? null
    for (let turn = 0; turn < 5; turn++) {
      scene.said.set('two', astray)
      await scene.pass(4)
      scene.said.set('two', state)
      await scene.pass(2)
    }
    assert.deepEqual([scene.story, scene.told], [[], []])
  }
})

test('nothing is done where others decide, while anything is at work, or when another router has the shards', async (t) => {
  const cases: ((scene: Scene) => void)[] = [
    (scene) => {
      scene.mode = 'follow'
    },
    (scene) => {
      scene.isAtWork = true
    },
    (scene) => {
      scene.refusal = 'process 7 decides'
    },
    (scene) => {
      scene.isOurs = ({ id }) => id === 1
    },
    (scene) => {
      scene.shards = [{ ...primary, up: false }, replica]
    },
    (scene) => {
      scene.shards = [primary, replica, { ...primary, id: 3, name: 'three' }]
    },
    (scene) => scene.watch.close(),
  ]
  for (const [at, change] of cases.entries()) {
    const scene = new Scene()
    t.after(() => scene.watch.close())
    change(scene)
    await scene.pass(60)
    assert.deepEqual(scene.story, [], `case ${at}`)
  }
})

test('while an operation is at work the time does not count', async (t) => {
  const scene = new Scene()
  t.after(() => scene.watch.close())
  await scene.pass(4)
  scene.isAtWork = true
  await scene.pass(2)
  scene.isAtWork = false
  await scene.pass(6)
  assert.deepEqual(scene.story, [`10000: ${REJOIN}`])
})

test('one that was put right, and was stopped and started before that was seen, does not have to wait; the next time it has to', async (t) => {
  const scene = new Scene()
  t.after(() => scene.watch.close())
  scene.fails = false
  await scene.pass(44)
  assert.deepEqual(scene.story, [`4000: ${REJOIN}`, `10000: ${REJOIN}`, `40000: ${REJOIN}`])
})

test('shards that cannot be claimed at all are told of, and tried again', async (t) => {
  const scene = new Scene()
  t.after(() => scene.watch.close())
  scene.refusal = new Error('the directory is gone')
  await scene.pass(40)
  assert.deepEqual(scene.story, [])
  const told = 'failover two: two does not follow one, the primary of main: '
  assert.deepEqual(scene.told, [
    `${told}it streams from nobody`,
    `${told}the directory is gone`,
    `${told}the directory is gone`,
  ])
})
