import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE_COUNT, FEATURE_NAMES } from '../../analyzer/feature-schema.ts'
import { oneQuestionModel } from '../../analyzer/model.fixture.ts'
import { encodeModel, TierModel } from '../../analyzer/tier-model.ts'
import { createLogger } from '../../log.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { DriftWatch } from './drift.ts'
import type { HistoryRow } from './history-row.ts'

const log = createLogger({ level: 'silent', format: 'json', process: 'test', pid: 1, destination: 2 })

/** Made for features that are even between 0 and 1. */
function openWatch(): DriftWatch {
  const { header, trees } = TierModel.open(oneQuestionModel('duration', 4, [1, 0, 0, 0], [0, 0, 0, 1]))
  const tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
  const { temperature, thresholds, vocabulary, about } = header
  const quantiles = FEATURE_NAMES.map(() => tenths)
  const watch = new DriftWatch(log)
  watch.use(TierModel.open(encodeModel({ temperature, thresholds, vocabulary, about, quantiles }, trees.arrays)))
  return watch
}

const random = seededRandom(5)
const row = (value: (feature: number) => number, changes: Partial<HistoryRow> = {}): HistoryRow => ({
  time: 0,
  connectedAt: 0,
  connection: 'c',
  kind: 'running',
  queries: 1,
  user: 'u',
  database: 'd',
  application: '',
  subnet: 'local',
  port: 1,
  tier: null,
  proposed: null,
  rule: null,
  source: 'default',
  features: Float32Array.from({ length: FEATURE_COUNT }, (_, feature) => value(feature)),
  ...changes,
})

describe('drift', () => {
  it('is unknown before there is enough to compare', () => {
    assert.equal(openWatch().report().state, 'unknown')
  })

  it('is none while clients are as in training', () => {
    const watch = openWatch()
    for (let n = 0; n < 3000; n++) watch.observe(row(random))
    assert.equal(watch.report().state, 'stable')
  })

  it('is a warning when one feature has moved, which is named', () => {
    const watch = openWatch()
    for (let n = 0; n < 3000; n++) watch.observe(row((feature) => (feature === 20 ? 0.95 : random())))
    const { state, features } = watch.report()
    assert.equal(state, 'warning')
    assert.equal(features[0]?.[0], FEATURE_NAMES[20])
  })

  it('is an alarm when many have', () => {
    const watch = openWatch()
    for (let n = 0; n < 3000; n++) watch.observe(row(() => 0.5 + random() / 2))
    assert.equal(watch.report().state, 'alarm')
  })

  it('counts strangers, and where rules and model differ', () => {
    const watch = openWatch()
    for (let n = 0; n < 1000; n++) {
      const seen = n % 4 === 0 ? 1 : 0
      watch.observe(
        row((feature) => (feature === 4 ? seen : random()), { rule: 'low', proposed: n % 5 === 0 ? 'high' : 'low' }),
      )
    }
    const { unseen, disagreement } = watch.report()
    assert.equal(unseen, 0.75)
    assert.equal(disagreement, 0.2)
  })
})
