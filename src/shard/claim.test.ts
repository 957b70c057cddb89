import assert from 'node:assert/strict'
import { test } from 'node:test'
import { claimOf, ruleOfClaim, tierOfClaim } from './claim.ts'
import { TIERS } from './tier.ts'

test('a claim is its tier, and tells its rule', () => {
  for (const rule of [-1, 0, 1, 700]) {
    for (const tier of TIERS.keys()) {
      const claim = claimOf(tier, rule)
      assert.deepEqual([tierOfClaim(claim), ruleOfClaim(claim)], [tier, rule])
      assert.equal(claim === tier, rule < 0)
    }
  }
})
