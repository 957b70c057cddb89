import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE, FEATURE_COUNT, FEATURE_NAMES, FEATURE_SCHEMA_HASH } from './feature-schema.ts'

describe('the features', () => {
  it('have positions without gaps, in the order of their names', () => {
    assert.deepEqual(
      FEATURE_NAMES.map((name) => FEATURE[name]),
      Array.from({ length: FEATURE_COUNT }, (_, i) => i),
    )
  })

  it('are what models in the field were made for: a change needs a new version, and this line with it', () => {
    assert.equal(FEATURE_SCHEMA_HASH.length, 16)
    assert.equal(FEATURE_COUNT, 56)
  })
})
