import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { DEFAULT_TIER, TIERS, tierCode, tierOf } from './tier.ts'

describe('tier codes', () => {
  it('lead back to their tiers, the most important first', () => {
    assert.deepEqual(TIERS.map(tierCode), [0, 1, 2, 3])
    assert.deepEqual([0, 1, 2, 3].map(tierOf), TIERS)
  })

  it('are the default when unknown', () => {
    for (const code of [-1, 4, Number.NaN]) assert.equal(tierOf(code), DEFAULT_TIER)
  })
})
