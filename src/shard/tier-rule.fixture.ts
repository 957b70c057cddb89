import type { TierRule } from './policy.ts'

/** For tests: a rule for everybody that says nothing. */
export const EMPTY_RULE: TierRule = Object.freeze({
  ...{ user: '*', database: '*', application: '*' },
  ...{ tier: null, consistency: null, queueWaitMs: null, queryMs: null, transactionMs: null },
  ...{ pools: null, max: null, queue: null, shedOrder: null },
})
