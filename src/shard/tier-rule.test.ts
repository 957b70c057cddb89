import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TierRule } from './policy.ts'
import { EMPTY_RULE } from './tier-rule.fixture.ts'
import { matchesPattern, ruleFor } from './tier-rule.ts'

test('a star stands for any characters, everything else for itself', () => {
  for (const [pattern, text, expected] of [
    ['*', '', true],
    ['shop', 'shop', true],
    ['shop', 'shop2', false],
    ['nightly-*', 'nightly-', true],
    ['nightly-*', 'nightly', false],
    ['*-etl', 'x-etl', true],
    ['a*a', 'a', false],
    ['a*b*c', 'a-b-c', true],
    ['a*b*c', 'acbc', true],
    ['a*b*c', 'abbac', true],
    ['a*b*bc', 'abc', false],
    ['a.c', 'abc', false],
  ] as const)
    assert.equal(matchesPattern(pattern, text), expected, `${pattern} ${text}`)
})

test('the first rule that matches in all respects holds', () => {
  const rule = (changes: Partial<TierRule>): TierRule => ({ ...EMPTY_RULE, ...changes })
  const rules = [
    rule({ user: 'etl', database: 'shop', tier: 'low' }),
    rule({ application: 'cron*', tier: 'background' }),
    rule({ user: 'etl', tier: 'medium' }),
  ]
  const tier = (user: string, database: string, application: string) =>
    ruleFor(rules, { user, database, application })?.tier
  assert.equal(tier('etl', 'shop', 'cron'), 'low')
  assert.equal(tier('etl', 'x', 'cron-1'), 'background')
  assert.equal(tier('etl', 'x', ''), 'medium')
  assert.equal(tier('app', 'shop', ''), undefined)
})
