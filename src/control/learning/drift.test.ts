import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE, FEATURE_COUNT, FEATURE_NAMES } from '../../analyzer/feature-schema.ts'
import { oneQuestionModel } from '../../analyzer/model.fixture.ts'
import { encodeModel, type ModelHeader, TierModel } from '../../analyzer/tier-model.ts'
import { createLogger } from '../../log.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { DriftWatch } from './drift.ts'
import type { HistoryRow } from './history-row.ts'

const log = createLogger({ level: 'silent', format: 'json', process: 'test', pid: 1, destination: 2 })

/** Made for features that are even between 0 and 1; sure of who has a `duration` up to 4, not of others. */
function openWatch(changes: Partial<ModelHeader> = {}): DriftWatch {
  const { header, trees } = TierModel.open(oneQuestionModel('duration', 4, [9, 0, 0, 0], [0, 0, 0, 0]))
  const tenths = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
  const { temperature, thresholds, vocabulary, about } = header
  const quantiles = FEATURE_NAMES.map(() => tenths)
  const watch = new DriftWatch(log)
  const made = { temperature, thresholds, vocabulary, about, quantiles, ...changes }
  watch.use(TierModel.open(encodeModel(made, trees.arrays)))
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

  it('is a warning when the model has become unsure', () => {
    const rows = (duration: number) => (feature: number) => (feature === FEATURE.duration ? duration : random())
    const states = [1, 5].map((duration) => {
      const watch = openWatch({ confidence: 0.9, quantiles: FEATURE_NAMES.map(() => []) })
      for (let n = 0; n < 1000; n++) watch.observe(row(rows(duration), { queries: 16 }))
      const { state, confidence } = watch.report()
      return [state, confidence.toFixed(2)]
    })
    assert.deepEqual(states, [
      ['stable', '1.00'],
      ['warning', '0.25'],
    ])
  })

  it('counts strangers whose behaviour is new, and of whom the model then says nothing', () => {
    const features = [FEATURE.duration]
    const novelty = { features, means: [0.5], deviations: [1], centres: [0], missing: [0], reach: 0.6 }
    const watch = openWatch({ novelty })
    for (let n = 0; n < 1000; n++) {
      const duration = n % 4 === 0 ? 3 : 0.5
      const value = (feature: number) => (feature === FEATURE.pairId ? 0 : feature === FEATURE.duration ? duration : 1)
      watch.observe(row(value, { queries: n % 2 === 0 ? 4 : 16 }))
      watch.observe(row(value, { queries: 16 }))
    }
    assert.equal(watch.report().novel, 250 / 1500)
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
