import assert from 'node:assert/strict'
import { test } from 'node:test'
import { loadSample } from '../../control/monitor/load.fixture.ts'
import { HISTOGRAM_BUCKETS } from '../../memory/pool-records.ts'
import { PROFILE } from '../../memory/profile-records.ts'
import { loadRecord, SHARD_LOAD, SHARD_LOAD_F64, SHARD_WAITS } from '../../memory/shard-records.ts'
import { NO_POLICY } from '../../shard/policy.ts'
import { EMPTY_RULE } from '../../shard/tier-rule.fixture.ts'
import { TestRouter, testHealth } from '../router-control.fixture.ts'
import { writeClient, writeHistogram, writePlane, writePool, writeServer } from '../router-memory.fixture.ts'
import { Metrics } from './metrics.ts'

interface Sample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

/** Reads the text format strictly: a line that is not of it fails the test. */
function parseExposition(page: string): { samples: readonly Sample[]; types: ReadonlyMap<string, string> } {
  const samples: Sample[] = []
  const types = new Map<string, string>()
  for (const line of page.split('\n')) {
    const type = /^# TYPE ([a-zA-Z_:][\w:]*) (counter|gauge|histogram|summary)$/.exec(line)
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '')
    if (line === '' || line.startsWith('# ')) continue
    const sample = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (-?[\d.e+-]+|N[aA][nN]|[+-]?Inf)$/.exec(line)
    assert.ok(sample !== null, `not a sample: ${line}`)
    const label = /([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y
    const labels: Record<string, string> = {}
    const text = sample[2] ?? ''
    while (label.lastIndex < text.length) {
      const match = label.exec(text)
      assert.ok(match !== null, `not labels: ${text}`)
      labels[match[1] ?? ''] = (match[2] ?? '').replace(/\\(.)/g, (_, char) => (char === 'n' ? '\n' : char))
    }
    samples.push({ name: sample[1] ?? '', labels, value: Number((sample[3] ?? '').replace('Inf', 'Infinity')) })
  }
  return { samples, types }
}

async function scrape(router: TestRouter) {
  const { samples, types } = parseExposition(await new Metrics(router).scrape())
  const find = (name: string, labels: Record<string, string> = {}): readonly Sample[] =>
    samples.filter(
      (sample) => sample.name === name && Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
    )
  return { samples, types, find, value: (...wanted: Parameters<typeof find>) => find(...wanted)[0]?.value }
}

test('histograms are cumulative, end at infinity, and agree with their count and sum', async () => {
  const router = new TestRouter()
  writePool(router, 0, { queryMs: 2_500 })
  writeHistogram(router, 0, 'query', { 0: 5, 4: 3, 23: 2 })
  const { find, value, types } = await scrape(router)
  assert.equal(types.get('switchyard_query_seconds'), 'histogram')
  const buckets = find('switchyard_query_seconds_bucket', { database: 'app', user: 'alice', shard: 'alpha' })
  assert.equal(buckets.length, HISTOGRAM_BUCKETS)
  const bounds = buckets.map(({ labels }) => Number(labels.le?.replace('+Inf', 'Infinity')))
  assert.deepEqual(
    bounds,
    [...bounds].sort((a, b) => a - b),
  )
  assert.equal(bounds[0], 0.000064)
  assert.equal(bounds.at(-1), Number.POSITIVE_INFINITY)
  const counts = buckets.map((bucket) => bucket.value)
  assert.deepEqual(counts.slice(0, 6), [5, 5, 5, 5, 8, 8])
  assert.deepEqual(counts.slice(-2), [8, 10])
  assert.equal(value('switchyard_query_seconds_count'), 10)
  assert.equal(value('switchyard_query_seconds_sum'), 2.5)
})

test('each of the three distributions comes from its own buckets', async () => {
  const router = new TestRouter()
  writePool(router, 0, { waitMs: 1_000, transactionMs: 2_000 })
  writeHistogram(router, 0, 'wait', { 1: 1 })
  writeHistogram(router, 0, 'transaction', { 1: 2 })
  const { value } = await scrape(router)
  assert.deepEqual([value('switchyard_wait_seconds_count'), value('switchyard_wait_seconds_sum')], [1, 1])
  assert.deepEqual([value('switchyard_transaction_seconds_count'), value('switchyard_transaction_seconds_sum')], [2, 2])
})

test('records of several planes are one series', async () => {
  const router = new TestRouter()
  writePool(router, 0, { transactions: 3 })
  writePool(router, 1, { transactions: 4, plane: 1 })
  writeHistogram(router, 0, 'wait', { 2: 1 })
  writeHistogram(router, 1, 'wait', { 2: 1 })
  const { find } = await scrape(router)
  assert.deepEqual(
    find('switchyard_transactions_total').map((sample) => sample.value),
    [7],
  )
  assert.deepEqual(
    find('switchyard_wait_seconds_count').map((sample) => sample.value),
    [2],
  )
})

test('no series appears twice, whatever the names are', async () => {
  const router = new TestRouter()
  const names = ['a"b', 'a\\b', 'a\nb', 'a,b="c', 'größe']
  names.forEach((name, record) => {
    writePool(router, record, { user: name })
    writeClient(router, record, 'idle', { user: name })
  })
  const { samples, find } = await scrape(router)
  const keys = samples.map(({ name, labels }) => `${name} ${JSON.stringify(labels)}`)
  assert.equal(new Set(keys).size, keys.length)
  assert.deepEqual(
    find('switchyard_queries_total').map(({ labels }) => labels.user),
    names,
  )
})

test('connections are counted by state, and names of clients that are logging in never become labels', async () => {
  const router = new TestRouter()
  writePool(router, 0)
  writeClient(router, 0, 'active', { pool: 1 })
  writeClient(router, 1, 'waiting', { pool: 1, waitingSince: router.now - 3_000 })
  writeClient(router, 2, 'login', { user: 'guess' })
  writeServer(router, 0, 'idle')
  const { value, samples } = await scrape(router)
  assert.equal(value('switchyard_clients', { state: 'active', shard: 'alpha' }), 1)
  assert.equal(value('switchyard_clients', { state: 'idle', shard: 'alpha' }), 0)
  assert.equal(value('switchyard_servers', { state: 'idle' }), 1)
  assert.equal(value('switchyard_longest_wait_seconds'), 3)
  assert.equal(value('switchyard_clients_logging_in'), 1)
  assert.equal(value('switchyard_client_slots_used'), 3)
  assert.ok(samples.every(({ labels }) => labels.user !== 'guess'))
})

test('planes, shards, build and the control process are there', async () => {
  const router = new TestRouter()
  writePlane(router, 0, { turns: 12, accepted: 3, bufferBytesInUse: 99, valueBytesInUse: 192 })
  const { value, types, samples } = await scrape(router)
  assert.equal(value('switchyard_plane_turns_total', { plane: '0' }), 12)
  assert.equal(value('switchyard_plane_clients_accepted_total'), 3)
  assert.equal(value('switchyard_plane_buffer_bytes_in_use'), 99)
  assert.equal(value('switchyard_plane_value_bytes_free'), 8_000)
  assert.equal(value('switchyard_plane_heartbeat_age_seconds'), 0.1)
  assert.equal(value('switchyard_shard_up', { shard: 'alpha', role: 'primary', group: 'main' }), 1)
  assert.equal(value('switchyard_build_info', { version: '1.2.3' }), 1)
  assert.equal(value('switchyard_uptime_seconds'), 10)
  assert.equal(value('switchyard_ready'), 1)
  assert.ok((value('switchyard_control_process_resident_memory_bytes') ?? 0) > 0)
  assert.ok(samples.every(({ name }) => name.startsWith('switchyard_')))
  for (const [name, type] of types) if (type === 'counter') assert.match(name, /_total$/)
})

test('what a shard says of its load is there, and nothing of one that says nothing', async () => {
  const router = new TestRouter()
  const sessions = { active: 4, idle: 30, inTransaction: 2, hidden: 1 }
  const load = loadSample({ sessions, waits: { ...loadSample().waits, lock: 3 }, replayDelayMs: 40, walBytes: 9000 })
  router.shardHealth = [testHealth(0), testHealth(1, { load })]
  const { value, find } = await scrape(router)
  assert.equal(value('switchyard_shard_health', { shard: 'beta', health: 'up' }), 1)
  assert.equal(value('switchyard_shard_health', { shard: 'beta', health: 'down' }), 0)
  assert.equal(value('switchyard_shard_sessions', { shard: 'beta', state: 'inTransaction' }), 2)
  assert.equal(value('switchyard_shard_active_sessions', { shard: 'beta', wait: 'lock' }), 3)
  assert.equal(value('switchyard_shard_pg_connections', { shard: 'beta' }), 38)
  assert.equal(value('switchyard_shard_replay_delay_seconds', { shard: 'beta' }), 0.04)
  assert.equal(value('switchyard_shard_pg_commits_total', { shard: 'beta' }), 0)
  assert.deepEqual(
    find('switchyard_shard_pg_connections').map(({ labels }) => labels.shard),
    ['beta'],
  )
  assert.deepEqual(find('switchyard_shard_lag_bytes'), [])
})

test('slots, queues and waits are there by shard and tier, those who had not to wait counted as well', async () => {
  const router = new TestRouter()
  const { i32, f64, recordBytes } = router.memory.shards
  const i = loadRecord(0, 0) * (recordBytes >> 2)
  const f = i >> 1
  const LOW = 2
  i32[i + SHARD_LOAD.limit] = 8
  i32[i + SHARD_LOAD.held + LOW] = 3
  i32[i + SHARD_LOAD.allowed + LOW] = 4
  i32[i + SHARD_LOAD.waiting + LOW] = 5
  f64[f + SHARD_LOAD_F64.admitted + LOW] = 100
  f64[f + SHARD_LOAD_F64.waits + LOW] = 10
  f64[f + SHARD_LOAD_F64.waitMs + LOW] = 2500
  f64[f + SHARD_LOAD_F64.latencySumMs + LOW] = 1500
  f64[f + SHARD_WAITS.first + LOW * SHARD_WAITS.buckets + 3] = 7
  f64[f + SHARD_WAITS.first + LOW * SHARD_WAITS.buckets + 15] = 3
  const { value, find } = await scrape(router)
  const of = { shard: 'alpha', tier: 'low' }
  assert.equal(value('switchyard_tier_slots_used', of), 3)
  assert.equal(value('switchyard_tier_slots_allowed', of), 4)
  assert.equal(value('switchyard_tier_waiting', of), 5)
  assert.equal(value('switchyard_tier_transactions_total', of), 100)
  assert.equal(value('switchyard_tier_query_seconds_total', of), 1.5)
  assert.equal(value('switchyard_shard_slots', { shard: 'alpha' }), 8)
  assert.equal(value('switchyard_shard_adjusted', { shard: 'alpha', step: 'none' }), 1)
  const bucket = (le: string) => value('switchyard_tier_wait_seconds_bucket', { ...of, le })
  assert.deepEqual(['0.0005', '0.002', '0.004', '8.192', '+Inf'].map(bucket), [90, 90, 97, 97, 100])
  assert.equal(value('switchyard_tier_wait_seconds_count', of), 100)
  assert.equal(value('switchyard_tier_wait_seconds_sum', of), 2.5)
  // A shard that no plane has had to do with.
  assert.deepEqual(find('switchyard_tier_waiting', { shard: 'beta' }), [])
})

test('what is gone since the last scrape is gone from the page', async () => {
  const router = new TestRouter()
  const metrics = new Metrics(router)
  writePool(router, 0, { queries: 5 })
  assert.match(await metrics.scrape(), /switchyard_queries_total\{.*\} 5/)
  router.memory.pools.clear(0)
  assert.doesNotMatch(await metrics.scrape(), /switchyard_queries_total\{/)
})

test('what clients of a rule have and may have is there by shard, where they are counted apart', async () => {
  const router = new TestRouter()
  const max = { slots: 3, percent: 0 }
  router.policy = { ...NO_POLICY, rules: [EMPTY_RULE, { ...EMPTY_RULE, user: 'alice', max }] }
  writePool(router, 0)
  for (const [slot, state] of (['active', 'waiting', 'waiting'] as const).entries()) {
    writeClient(router, slot, state, { pool: 1, server: state === 'active' ? 1 : 0 })
    const { i32, recordBytes } = router.memory.profiles
    i32[slot * (recordBytes >> 2) + PROFILE.generation] = 1
    i32[slot * (recordBytes >> 2) + PROFILE.rule] = 2
  }
  const { value, find } = await scrape(router)
  const of = { shard: 'alpha', rule: '2' }
  assert.deepEqual(
    ['slots_used', 'slots_allowed', 'waiting'].map((name) => value(`switchyard_rule_${name}`, of)),
    [1, 3, 2],
  )
  assert.deepEqual(find('switchyard_rule_waiting', { rule: '1' }), [])
})

test('how far clients are from what the tier model was trained on is there, feature by feature', async () => {
  const router = new TestRouter()
  const features = [['duration', 0.4] as const, ['rows', 0.05] as const]
  const drift = { rows: 900, features, unseen: 0.5, novel: 0.25, confidence: 0.8, disagreement: 0.1 }
  router.analyzerState = { model: null, drift: { ...drift, state: 'alarm' } }
  const { value } = await scrape(router)
  const names = ['drift_state', 'unseen_ratio', 'novel_ratio', 'confidence', 'rule_disagreement', 'model_loaded']
  assert.deepEqual(
    names.map((name) => value(`switchyard_analyzer_${name}`)),
    [3, 0.5, 0.25, 0.8, 0.1, 0],
  )
  assert.equal(value('switchyard_analyzer_feature_psi', { feature: 'duration' }), 0.4)
  assert.equal(value('switchyard_analyzer_feature_psi', { feature: 'rows' }), 0.05)
})
