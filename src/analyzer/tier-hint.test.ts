import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'
import { TIERS } from '../shard/tier.ts'
import { commentHint, hintedTier } from './tier-hint.ts'

const hintOf = (sql: string) => {
  const bytes = Buffer.from(`before${sql}after`)
  return TIERS[commentHint(bytes, 6, bytes.length - 5)] ?? null
}

describe('a comment in the form of sqlcommenter', () => {
  for (const [sql, tier] of [
    ["SELECT 1 /*tier='low'*/", 'low'],
    ["SELECT 1 /* controller='a', tier='background' , x='y' */ ; ", 'background'],
    ["/*switchyard.tier='high'*/ SELECT 1", 'high'],
    ["SELECT 1 /*tier='LOW'*/", 'low'],
    ["SELECT 1 /*tier='l%6fw'*/", 'low'],
    ["SELECT 1 /*tier='%'*/", null],
    ["SELECT 1 /*frontier='low'*/", null],
    ["SELECT 1 /*tier='urgent'*/", null],
    ["SELECT '/*tier=''low''*/'", null],
    ['SELECT 1', null],
    ['', null],
    ['*/', null],
    ['/*', null],
    ["SELECT 2 /*tier='low'*/ + 1", null],
  ] as const) {
    it(`${sql} asks for ${tier}`, () => assert.equal(hintOf(sql), tier))
  }

  it('never reads outside of the text, and never throws', () => {
    fc.assert(
      fc.property(fc.string(), (sql) => {
        assert.equal(typeof commentHint(Buffer.from(`/*${sql}*/`), 0, sql.length), 'number')
      }),
    )
  })
})

describe('a tier named in a setting', () => {
  it('is read whatever its case', () => assert.equal(hintedTier(' Background'), 3))
  it('is none when it is not a tier', () => assert.deepEqual(['', 'auto', 'best'].map(hintedTier), [-1, -1, -1]))
})
