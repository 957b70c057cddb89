import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { checkTrees, softmax, TreeEnsemble } from '../../analyzer/tree-ensemble.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { DEFAULT_TRAINING, type LabelledRows, trainTrees } from './tree-trainer.ts'

const FEATURES = 6

/** Class 0…3 by two features that interact, one of them missing now and then when the class is 3; the rest is noise. */
function makeRows(count: number, seed: number): LabelledRows {
  const random = seededRandom(seed)
  const values = new Float32Array(count * FEATURES)
  const labels = new Uint8Array(count)
  for (let row = 0; row < count; row++) {
    const vector = Array.from({ length: FEATURES }, random)
    const [a = 0, b = 0] = vector
    const label = a > 0.6 ? (b > 0.5 ? 0 : 1) : b > 0.3 ? 2 : 3
    if (label === 3 && random() < 0.5) vector[1] = Number.NaN
    labels[row] = label
    values.set(vector, row * FEATURES)
  }
  return { features: FEATURES, values, labels, weights: new Float32Array(count).fill(1) }
}

function accuracy(trees: TreeEnsemble, { values, labels }: LabelledRows): number {
  const scores = new Float64Array(4)
  let right = 0
  for (let row = 0; row < labels.length; row++) {
    trees.score(values.subarray(row * FEATURES, (row + 1) * FEATURES), scores)
    if (scores.indexOf(Math.max(...scores)) === labels[row]) right++
  }
  return right / labels.length
}

describe('boosted trees', () => {
  const training = makeRows(4000, 1)
  const validation = makeRows(1000, 2)
  const { trees, loss } = trainTrees(training, validation, DEFAULT_TRAINING)
  const ensemble = new TreeEnsemble(trees)

  it('learn what decides, missing values included, and not the noise', () => {
    assert.ok(accuracy(ensemble, makeRows(2000, 3)) > 0.97)
    assert.ok(loss < 0.15, String(loss))
  })

  it('are arrays that the check of model files accepts', () => {
    assert.equal(checkTrees(trees, FEATURES, 4), null)
  })

  it('are the same for the same seed, and others for another', () => {
    assert.deepEqual(trainTrees(training, validation, DEFAULT_TRAINING).trees, trees)
    assert.notDeepEqual(trainTrees(training, validation, { ...DEFAULT_TRAINING, seed: 2 }).trees, trees)
  })

  it('explain their scores: base, what is expected at the roots and contributions add up to them', () => {
    const row = training.values.subarray(0, FEATURES)
    const scores = new Float64Array(4)
    ensemble.score(row, scores)
    const contributions = ensemble.contributions(row, FEATURES)
    for (let k = 0; k < 4; k++) {
      let sum = trees.base[k] as number
      for (const root of trees.roots) sum += (root >= 0 ? trees.expected[root * 4 + k] : 0) as number
      for (let feature = 0; feature < FEATURES; feature++) sum += contributions[feature * 4 + k] as number
      assert.ok(Math.abs(sum - (scores[k] as number)) < 1e-4, `${sum} ${scores[k]}`)
    }
    const strongest = [0, 1, 2, 3, 4, 5].toSorted(
      (f, g) => Math.abs(contributions[g * 4] as number) - Math.abs(contributions[f * 4] as number),
    )
    assert.deepEqual(strongest.slice(0, 2).toSorted(), [0, 1])
  })

  it('stop when the validation rows get no better', () => {
    const few = trainTrees(makeRows(200, 4), validation, { ...DEFAULT_TRAINING, mostTrees: 500, patience: 3 })
    assert.ok(few.trees.roots.length < 200)
  })

  it('of rows that are all alike are their class', () => {
    const alike = { ...training, labels: new Uint8Array(training.labels.length).fill(2) }
    const scores = new Float64Array(4)
    new TreeEnsemble(trainTrees(alike, alike, DEFAULT_TRAINING).trees).score(training.values.subarray(0, 6), scores)
    softmax(scores, 1)
    assert.ok((scores[2] as number) > 0.99)
  })
})

describe('the check of tree arrays', () => {
  const { trees } = trainTrees(makeRows(500, 1), makeRows(100, 2), { ...DEFAULT_TRAINING, mostTrees: 2 })
  const broken: Record<string, (copy: typeof trees) => void> = {
    'a feature that there is not': (copy) => copy.feature.fill(FEATURES),
    'leads nowhere': (copy) => copy.left.fill(10_000),
    'no threshold': (copy) => copy.threshold.fill(Number.NaN),
    'no numbers': (copy) => copy.leaves.fill(Number.POSITIVE_INFINITY),
    'begins nowhere': (copy) => copy.roots.fill(-5000),
  }
  for (const [what, damage] of Object.entries(broken)) {
    it(`finds ${what}`, () => {
      const copy = structuredClone(trees)
      damage(copy)
      assert.match(checkTrees(copy, FEATURES, 4) ?? '', new RegExp(what))
    })
  }

  it('finds walks that go round in circles', () => {
    const copy = structuredClone(trees)
    copy.left[copy.left.length - 1] = 0
    assert.match(checkTrees(copy, FEATURES, 4) ?? '', /leads nowhere/)
  })
})
