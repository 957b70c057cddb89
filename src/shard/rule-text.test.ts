import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ruleClients, ruleSays } from './rule-text.ts'
import { EMPTY_RULE } from './tier-rule.fixture.ts'

test('a rule says whose it is, and what is written in it', () => {
  assert.deepEqual([ruleClients(EMPTY_RULE), ruleSays(EMPTY_RULE)], ['everybody', 'nothing else than their tier'])
  const rule = { ...EMPTY_RULE, user: 'a*', application: 'x', pools: ['own', 'all'], queue: 0, queueWaitMs: 0 }
  assert.equal(ruleClients(rule), 'user a*, application x')
  assert.equal(ruleSays(rule), 'pools = own, then all; queue = 0; queue_wait = 0 ms')
  assert.equal(
    ruleSays({ ...EMPTY_RULE, tier: 'low', max: { slots: 0, percent: 5 }, shedOrder: 3, consistency: 'strong' }),
    'tier = low; consistency = strong; max = 5%; shed_order = 3',
  )
})
