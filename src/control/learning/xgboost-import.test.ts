import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FEATURE, FEATURE_COUNT } from '../../analyzer/feature-schema.ts'
import { TierModel } from '../../analyzer/tier-model.ts'
import { importXgboost } from './xgboost-import.ts'

/** Two trees of `multi:softprob`: below 4 the first class, from 4 on the third one; a missing value goes right. */
const stump = (scores: [number, number]) => ({
  left_children: [1, -1, -1],
  right_children: [2, -1, -1],
  split_indices: [0, 0, 0],
  split_conditions: [4, ...scores],
  default_left: [0, 0, 0],
  sum_hessian: [3, 1, 2],
})
const file = {
  learner: {
    feature_names: ['duration'],
    learner_model_param: { num_class: '4' },
    gradient_booster: { model: { trees: [stump([2, -2]), stump([-1, 3])], tree_info: [0, 2] } },
  },
}

test('an XGBoost model says here what it says there, at the border and for missing values too', () => {
  const model = TierModel.open(importXgboost(file))
  const vector = new Float32Array(FEATURE_COUNT)
  const likely = (value: number): number => {
    vector[FEATURE.duration] = value
    const probabilities = new Float64Array(4)
    model.predict(vector, probabilities)
    return probabilities.indexOf(Math.max(...probabilities))
  }
  assert.deepEqual([3.999, 4, 5, Number.NaN].map(likely), [0, 2, 2, 2])
})

test('features that there are not, other numbers of classes and other files are refused', () => {
  const { learner } = file
  assert.throws(() => importXgboost({ learner: { ...learner, feature_names: ['mood'] } }), /"mood"/)
  assert.throws(() => importXgboost({ learner: { ...learner, learner_model_param: { num_class: '2' } } }), /4 classes/)
  assert.throws(() => importXgboost({}), /not a tree model/)
})
