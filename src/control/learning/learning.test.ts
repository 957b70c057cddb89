import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { openTestMemory } from '../../analyzer/analyzer.fixture.ts'
import { FEATURE_COUNT } from '../../analyzer/feature-schema.ts'
import { oneQuestionModel } from '../../analyzer/model.fixture.ts'
import type { Config } from '../../config/schema.ts'
import { createLogger } from '../../log.ts'
import type { HistoryRow } from './history-row.ts'
import { Learning } from './learning.ts'
import { ModelStore } from './model-store.ts'

const log = createLogger({ level: 'silent', format: 'json', process: 'test', pid: 1, destination: 2 })

/** Of a client unlike all that the model that ships was made of. */
const odd: HistoryRow = {
  time: 0,
  connectedAt: 0,
  connection: 'c',
  kind: 'running',
  queries: 4,
  user: 'u',
  database: 'd',
  application: '',
  subnet: 'local',
  port: 1,
  tier: null,
  proposed: null,
  rule: null,
  source: 'default',
  features: new Float32Array(FEATURE_COUNT).fill(1e6),
}

/** What planes are told when everybody has become another one: a model, or not to ask any. */
async function publishedWith(onDrift: 'warn' | 'rules', t: test.TestContext): Promise<string[]> {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-drift-'))
  t.after(() => rmSync(directory, { recursive: true }))
  t.mock.timers.enable({ apis: ['setInterval'] })
  const told: string[] = []
  const learning = new Learning({
    memory: openTestMemory(),
    dataDirectory: directory,
    config: () => ({ analyzer: { onDrift, historySizeBytes: 1e9, historyAgeMs: 1e9 } }) as Config,
    wallClock: () => 0,
    publish: (model) => void told.push(model === null ? 'none' : 'a model'),
    shards: () => [],
    ask: async () => null,
    now: () => 0,
    log,
  })
  learning.start(true)
  for (let row = 0; row < 1000; row++) learning.drift.observe(odd)
  assert.equal(learning.drift.report().state, 'alarm')
  t.mock.timers.tick(5_000)
  t.mock.timers.tick(5_000)
  new ModelStore(directory).promote(oneQuestionModel('duration', 4, [1, 0, 0, 0], [0, 0, 0, 1]))
  await new Promise((resolve) => setImmediate(resolve))
  t.mock.timers.tick(5_000)
  learning.stop()
  t.mock.timers.reset()
  return told
}

test('with on_drift = "rules" nobody asks a model that was made for another world, until there is another', async (t) => {
  assert.deepEqual(await publishedWith('rules', t), ['a model', 'none', 'a model'])
})

test('with on_drift = "warn" it is only said', async (t) => {
  assert.deepEqual(await publishedWith('warn', t), ['a model', 'a model'])
})
