import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { SOURCES } from '../memory/profile-records.ts'
import { TIERS } from '../shard/tier.ts'
import { decideTier, NO_TIER, sourceIn, type TierVotes, tierIn } from './tier-decision.ts'

const NOTHING: TierVotes = {
  rule: NO_TIER,
  hint: NO_TIER,
  mayRaise: false,
  model: NO_TIER,
  identity: NO_TIER,
  fallback: 1,
  runaway: NO_TIER,
}
const decide = (votes: Partial<TierVotes>) => {
  const decision = decideTier({ ...NOTHING, ...votes })
  return `${TIERS[tierIn(decision)]} by ${SOURCES[sourceIn(decision)]}`
}

describe('the tier is', () => {
  for (const [votes, expected] of [
    [{}, 'medium by default'],
    [{ identity: 2 }, 'low by identity'],
    [{ identity: 2, model: 0 }, 'high by model'],
    [{ rule: 3, model: 0, identity: 0 }, 'background by rule'],
    [{ hint: 2, model: 0 }, 'low by hint'],
    [{ hint: 3, rule: 0 }, 'background by hint'],
    [{ hint: 0, model: 2 }, 'low by model'],
    [{ hint: 0, model: 2, mayRaise: true }, 'high by hint'],
    [{ hint: 0, rule: 2, mayRaise: true }, 'low by rule'],
    [{ runaway: 2, rule: 0 }, 'low by runaway'],
    [{ runaway: 2, model: 3 }, 'background by model'],
    [{ runaway: 3, hint: 0, mayRaise: true }, 'background by runaway'],
  ] as const) {
    it(`${expected} for ${JSON.stringify(votes)}`, () => assert.equal(decide(votes), expected))
  }
})
