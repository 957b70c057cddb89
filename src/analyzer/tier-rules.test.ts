import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { TierRules } from './tier-rules.ts'

const ANY = { user: '*', database: '*', application: '*', tier: null, consistency: null } as const
const subject = { user: 'shop', database: 'main', application: 'nightly-etl (1.2)' }

describe('rules', () => {
  it('match by patterns, whatever else is in them', () => {
    const rules = new TierRules([
      { ...ANY, user: 'sho', tier: 'high' },
      { ...ANY, application: 'nightly-* (1.2)', tier: 'background' },
    ])
    assert.equal(rules.find(subject), 1)
    assert.equal(rules.tierAt(1), 3)
    assert.equal(rules.find({ ...subject, application: 'nightly-etl (112)' }), -1)
  })

  it('end at the first that matches, even when it says nothing of the tier', () => {
    assert.equal(
      new TierRules([
        { ...ANY, user: 'shop' },
        { ...ANY, tier: 'low' },
      ]).find(subject),
      -1,
    )
    assert.equal(new TierRules([]).find(subject), -1)
  })
})
