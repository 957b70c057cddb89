import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import {
  BACKEND_FEATURES,
  FEATURE,
  FEATURE_COUNT,
  IDENTITY_FEATURES,
  IDENTITY_HISTORY_FEATURES,
  SITE_FEATURES,
} from '../../analyzer/feature-schema.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { type Dropout, type Example, toRows, vocabularyOf } from './dataset.ts'

const ROWS = 4_000

const example = (connection: number): Example => ({
  row: {
    time: 0,
    connectedAt: 0,
    connection: `c-${connection}`,
    kind: 'running',
    queries: 16,
    user: 'alice',
    database: 'shop',
    application: 'web',
    subnet: 'local',
    port: 1,
    tier: null,
    proposed: null,
    rule: null,
    source: 'default',
    features: new Float32Array(FEATURE_COUNT).fill(7),
  },
  label: connection % 4,
  weight: 1,
  family: null,
  kind: null,
})
const examples = Array.from({ length: ROWS }, (_, connection) => example(connection))

/** The parts of the rows of which `isTaken` says yes. */
function partOf(dropout: Partial<Dropout>, isTaken: (vector: Float32Array) => boolean): number {
  const all = { random: seededRandom(2), share: 0.4, portable: false, ...dropout }
  const { values } = toRows(examples, vocabularyOf(examples), all)
  const vectors = examples.map((_, at) => values.subarray(at * FEATURE_COUNT, (at + 1) * FEATURE_COUNT))
  return vectors.filter(isTaken).length / ROWS
}

const isNamed = (vector: Float32Array): boolean => IDENTITY_FEATURES.every((feature) => vector[feature] !== 0)
const isNameless = (vector: Float32Array): boolean => IDENTITY_FEATURES.every((feature) => vector[feature] === 0)
const lacks =
  (features: readonly number[]) =>
  (vector: Float32Array): boolean =>
    features.every((feature) => Number.isNaN(vector[feature]))
const about = (actual: number, expected: number): void =>
  assert.ok(Math.abs(actual - expected) < 0.04, `${actual} is not about ${expected}`)

describe('rows for training', () => {
  it('lose their name as often as they should, whole', () => {
    about(partOf({}, isNameless), 0.4)
    about(partOf({}, isNamed), 0.6)
  })

  it('with a name lose what others of that name did, so that the name alone is enough', () => {
    const isAlone = lacks(IDENTITY_HISTORY_FEATURES)
    about(partOf({ share: 0 }, isAlone), 0.35)
    about(partOf({ share: 1 }, isAlone), 0.5)
  })

  it('lose what their server process uses, so that the model copes without', () => {
    about(partOf({}, lacks(BACKEND_FEATURES)), 0.35)
  })

  it('for use elsewhere know nothing of this installation, but what the connection does', () => {
    const dropout = { share: 1, portable: true }
    assert.equal(
      partOf(dropout, (vector) => isNameless(vector) && lacks(SITE_FEATURES)(vector)),
      1,
    )
    assert.equal(
      partOf(dropout, (vector) => vector[FEATURE.duration] === 7),
      1,
    )
  })
})
