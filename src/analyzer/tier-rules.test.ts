import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { EMPTY_RULE } from '../shard/tier-rule.fixture.ts'
import { NO_TIER } from './tier-decision.ts'
import { TierRules } from './tier-rules.ts'

const subject = { user: 'shop', database: 'main', application: 'nightly-etl (1.2)' }

describe('rules', () => {
  it('match by patterns, whatever else is in them', () => {
    const rules = new TierRules([
      { ...EMPTY_RULE, user: 'sho', tier: 'high' },
      { ...EMPTY_RULE, application: 'nightly-* (1.2)', tier: 'background' },
    ])
    assert.equal(rules.find(subject), 1)
    assert.equal(rules.tierAt(1), 3)
    assert.equal(rules.find({ ...subject, application: 'nightly-etl (112)' }), -1)
  })

  it('end at the first that matches, even when it says nothing of the tier', () => {
    const rules = new TierRules([
      { ...EMPTY_RULE, user: 'shop' },
      { ...EMPTY_RULE, tier: 'low' },
    ])
    assert.deepEqual([rules.find(subject), rules.tierAt(0)], [0, NO_TIER])
    assert.equal(new TierRules([]).find(subject), -1)
  })
})
