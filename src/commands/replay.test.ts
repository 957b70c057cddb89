import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import { FEATURE, FEATURE_COUNT } from '../analyzer/feature-schema.ts'
import { writeTable } from '../control/learning/history-files.ts'
import type { HistoryRow } from '../control/learning/history-row.ts'
import { type ReplayFlags, replay } from './replay.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchyard-replay-'))
after(() => rmSync(directory, { recursive: true }))
const history = join(directory, 'history')
mkdirSync(history)
const BEGAN = Date.parse('2026-11-01T08:00:00Z')

/** Forty reports of two seconds each at once, and ten shops that ask for a millisecond of work. */
function rowOf(connection: number): HistoryRow {
  const isReport = connection < 40
  const features = new Float32Array(FEATURE_COUNT).fill(Number.NaN)
  features[FEATURE.duration] = isReport ? 11 : 0
  features[FEATURE.queriesPerTransaction] = 1
  features[FEATURE.selects] = 1
  return {
    time: BEGAN + 60_000,
    connectedAt: BEGAN,
    connection: `c-${connection}`,
    kind: 'end',
    queries: isReport ? 30 : 200,
    user: isReport ? 'report' : 'shop',
    database: 'shop',
    application: '',
    subnet: 'local',
    port: connection,
    tier: isReport ? 'low' : 'high',
    proposed: null,
    rule: null,
    source: 'model',
    features,
  }
}

writeTable(
  join(history, '1.parquet'),
  Array.from({ length: 50 }, (_, connection) => rowOf(connection)),
)

function file(name: string, text: string): string {
  const path = join(directory, name)
  const shards = ['db1', 'db2'].map((shard) => `[[shards]]\nname = "${shard}"\nhost = "${shard}"\nslots = 10\n`)
  writeFileSync(path, `${shards.join('')}[monitor]\nuser = "watch"\n${text}`)
  return path
}

const before = file('before.toml', '[tiers.low]\nmax = "100%"\nreserved = 0\n[tiers.high]\nreserved = 0\n')
const next = file(
  'after.toml',
  '[routing]\nreads = "replicas"\n[tiers.high]\nreserved = 4\nkept = 4\n[tiers.low]\nmax = 5\npools = ["replicas"]\n',
)

async function run(flags: Partial<ReplayFlags>): Promise<{ readonly code: number; readonly said: string }> {
  let said = ''
  const all = { history, policy: next, config: before, from: null, to: null, scale: '1', lag: '20', seed: '1' }
  const code = await replay({ ...all, json: false, ...flags }, {}, (text) => {
    said += text
  })
  return { code, said }
}

test('waits and load under both policies, side by side', async () => {
  const { code, said } = await run({})
  assert.equal(code, 0)
  assert.match(said, /^history {2}2026-11-01T08:00:0.*: 50 connections, 3200 transactions\n/)
  assert.match(said, /^high +2000 +\S.* → 0 /m)
  assert.match(said, /^db2 +0 → \d+ +0.0 % → \d+/m)
})

test('rules of the new policy hold for those whose connections they match', async () => {
  const policy = file(
    'rules.toml',
    '[tiers.low]\nmax = "100%"\n[[tiers.rules]]\nuser = "report"\nmax = 2\nqueue = 30\n',
  )
  const { said } = await run({ policy, json: true })
  const { after: is } = JSON.parse(said)
  const [high, , low] = is.tiers
  // Of forty reports at once two begin, thirty wait, and the others come again for their next one.
  assert.deepEqual([high.p99WaitMs, low.refused > 0, is.shards[0].mostBusy < 10], [0, true, true])
})

test('the same as JSON, and the same again for the same seed', async () => {
  const { said } = await run({ json: true })
  const { history: seen, before: was, after: is } = JSON.parse(said)
  assert.deepEqual([seen.transactions, was.policy, is.policy], [3200, before, next])
  const waits = [was, is].map(({ tiers }) => tiers[0].p99WaitMs)
  assert.ok(waits[0] > 0)
  assert.equal(waits[1], 0)
  assert.deepEqual(
    is.shards.map(({ shard }: { shard: string }) => shard),
    ['db1', 'db2'],
  )
  assert.equal((await run({ json: true })).said, said)
})

test('without a present policy it is the built-in one', async () => {
  const { code, said } = await run({ config: null })
  assert.equal(code, 0)
  assert.match(said, /^policy {3}built in → /m)
})

test('what is wrong is said in a sentence', async () => {
  const wrong: [Partial<ReplayFlags>, RegExp][] = [
    [{ history: join(directory, 'nowhere') }, /nowhere: the history cannot be read \(.+\); give the directory/],
    [{ history: next }, /after\.toml: this is no history of Switchyard/],
    [{ policy: join(directory, 'missing.toml') }, /the configuration file cannot be read/],
    [{ from: 'yesterday' }, /--from is "yesterday", but it must be a time/],
    [{ scale: 'much' }, /--scale is "much", but it must be a number from 0\.001 to 1000/],
    [{ to: '2020-01-01' }, /no transaction of it lies between --from and --to/],
    [{ history: directory }, /there is no history in it/],
  ]
  for (const [flags, sentence] of wrong) {
    const { code, said } = await run(flags)
    assert.equal(code, 1)
    assert.match(said, sentence)
  }
})
