import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { ShardAdmission } from '../../admission/shard-admission.ts'
import { configText } from '../../config/config-text.fixture.ts'
import { parseConfig } from '../../config/load-config.ts'
import { regionsOf } from '../../memory/layout.ts'
import { formatSharedState } from '../../memory/shared-state.ts'
import { NO_POLICY } from '../../shard/policy.ts'
import { freezeShard } from '../failover/failover.fixture.ts'
import type { OperationRequest } from '../operations/operation.ts'
import { AddedShards } from './added-shards.ts'
import type { Appeal } from './appeal.ts'
import { Scaler } from './scaler.ts'

const CONFIG = `${configText('db1', 'db2')}[routing]
reads = "replicas"
[scaling]
sustain = "3s"
cooldown_out = "10s"
`
const GEOMETRY = {
  ...{ clientSlots: 1, ordinaryClientSlots: 1, serverSlots: 1 },
  ...{ poolRecords: 1, planes: 1, arenaBytesPerPlane: 4096 },
} as const
const TOPOLOGY = {
  version: 1,
  shards: [
    freezeShard({ id: 0, name: 'db1', role: 'primary', up: true }),
    freezeShard({ id: 1, name: 'db2', role: 'replica', up: true }),
  ],
}
/** Its code. */
const MEDIUM = 1
const SLOTS = 10

function open(t: TestContext, mode: string) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-scaler-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const memory = formatSharedState(new ArrayBuffer(regionsOf(GEOMETRY).totalBytes), GEOMETRY, 0)
  const replica = new ShardAdmission({ planeIndex: 0, now: 0 }, { id: 1, name: 'db2' }, memory.shards)
  replica.configure(SLOTS, NO_POLICY)
  const config = parseConfig(`${CONFIG}mode = "${mode}"\n`, { file: 'f', directory: '/', environment: {} })
  const added = new AddedShards(directory, () => {})
  const events: string[] = []
  const asked: OperationRequest[] = []
  const state = { now: 1_000_000, isAtWork: false, failure: null as Error | null, appeals: new Map<number, Appeal>() }
  const make = (): Scaler =>
    new Scaler({
      ...{
        added,
        memory,
        topology: () => TOPOLOGY,
        config: () => config,
        isDrained: () => false,
        appeals: () => state.appeals,
      },
      isAtWork: () => state.isAtWork,
      operate: async (request) => {
        asked.push(request)
        if (state.failure !== null) throw state.failure
      },
      events: { publish: ({ what, reason = '' }) => void events.push(`${what}: ${reason}`) },
      ...{ now: () => state.now, wallClock: () => state.now },
    })
  const scaler = make()
  /** So many seconds, in each of which so many transactions begin and wait for so long. */
  const seconds = async (count: number, waitMs: number, looking = scaler): Promise<void> => {
    for (let second = 0; second < count; second++) {
      state.now += 1000
      for (let n = 0; n < 50; n++) {
        replica.take(MEDIUM)
        if (waitMs > 0) replica.waited(MEDIUM, waitMs)
        replica.release(MEDIUM)
      }
      looking.look()
      await turn()
    }
  }
  return { scaler, make, seconds, state, added, events, asked }
}

const reason = ({ reports }: Scaler): string | undefined => reports[0]?.verdict.reason

test('waits that last get a shard; short ones, and those within the objective, do not', async (t) => {
  const { scaler, seconds, asked, events } = open(t, 'auto')
  await seconds(5, 10)
  assert.match(reason(scaler) ?? '', /^enough room/)
  await seconds(2, 300)
  assert.match(reason(scaler) ?? '', /^medium waits \d+ ms at p99, 50 ms are wanted, not yet for 3 s$/)
  assert.deepEqual(asked, [])
  await seconds(3, 300)
  assert.deepEqual(asked[0], { kind: 'scale-out', target: 'main', choice: null })
  assert.match(events[0] ?? '', /^a shard is added to main: medium waits/)
})

test('a shard on which lower tiers have nothing left to give gets another one beside it', async (t) => {
  const { scaler, seconds, state, asked, events } = open(t, 'auto')
  await seconds(5, 0)
  state.appeals = new Map([[1, { tier: 0, reason: 'tier high waits', isAlone: false }]])
  await seconds(2, 0)
  assert.match(reason(scaler) ?? '', /^lower tiers have nothing left to give on db2: tier high waits, not yet for 3 s$/)
  await seconds(3, 0)
  assert.deepEqual(asked[0], { kind: 'scale-out', target: 'main', choice: null })
  assert.match(events[0] ?? '', /^a shard is added to main: lower tiers have nothing left to give on db2: tier high/)
})

test('advice is given once, and nothing is done', async (t) => {
  const { seconds, asked, events } = open(t, 'advise')
  await seconds(10, 300)
  await seconds(10, 0)
  assert.deepEqual(asked, [])
  assert.match(events[0] ?? '', /^a shard would be added to main: medium waits/)
  assert.match(events[1] ?? '', /^main needs no change: /)
  assert.equal(events.length, 2)
})

test('off is silent, and tells what it would think when asked', async (t) => {
  const { scaler, seconds, asked, events } = open(t, 'off')
  await seconds(10, 300)
  assert.deepEqual([asked, events], [[], []])
  assert.equal(scaler.reports[0]?.verdict.action, 'add')
})

test('nothing begins while an operation is at work', async (t) => {
  const { seconds, asked, state } = open(t, 'auto')
  state.isAtWork = true
  await seconds(10, 300)
  assert.deepEqual(asked, [])
})

test('what failed is not tried again at once, by the next control process neither', async (t) => {
  const { make, seconds, asked, state, events } = open(t, 'auto')
  state.failure = new Error('no room')
  await seconds(6, 300)
  assert.equal(asked.length, 1)
  assert.ok(events.includes('main was not scaled: no room'))
  const next = make()
  await seconds(6, 300, next)
  assert.match(reason(next) ?? '', /^the last change failed; the next attempt is in \d+ s$/)
  assert.equal(asked.length, 1)
  await seconds(12, 300, next)
  assert.equal(asked.length, 2)
})

test('what was left behind is cleared away in every mode, less and less often', async (t) => {
  const { seconds, asked, state, added } = open(t, 'off')
  const facts = { place: null, maxConnections: 1, slots: null, zone: null, operation: 'x', begunAt: 1, servingAt: 0 }
  added.put({ name: 'db3', group: 'main', pool: null, driver: 'local', state: 'leaving', ...facts })
  state.failure = new Error('the primary does not answer')
  await seconds(40, 0)
  assert.deepEqual(asked[0], { kind: 'scale-in', shard: 'db3' })
  assert.ok(asked.length >= 3 && asked.length <= 6, `${asked.length} attempts in 40 s`)
})
