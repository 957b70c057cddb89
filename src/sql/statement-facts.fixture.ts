import assert from 'node:assert/strict'
import { pinReasons } from '../memory/client-slots.ts'
import { FACT } from './statement-effects.ts'
import { StatementFacts } from './statement-facts.ts'

const facts = new StatementFacts(null)

/** What a text says; the same object for the next text. */
export function read(sql: string): StatementFacts {
  const bytes = Buffer.from(sql)
  facts.read(bytes, 0, bytes.length)
  return facts
}

/** Pin reasons of a text, separated by blanks. */
export const pinsOf = (sql: string): string => pinReasons(read(sql).pins).join(' ')

/** Names of the flags of a text, separated by blanks. */
export function flagsOf(sql: string): string {
  const { flags } = read(sql)
  const names = Object.entries(FACT).filter(([, bit]) => (flags & bit) !== 0)
  return names.map(([name]) => name).join(' ')
}

/** Each statement alone, in capitals, and as the second and the first of two. */
export function assertPins(pins: string, statements: readonly string[]): void {
  for (const sql of statements) {
    assert.equal(pinsOf(sql), pins, sql)
    assert.equal(pinsOf(`select 1; ${sql}`), pins, `after another: ${sql}`)
    assert.equal(pinsOf(`${sql}; select 1`), pins, `before another: ${sql}`)
    if (!/['"$]/.test(sql)) assert.equal(pinsOf(sql.toUpperCase()), pins, `in capitals: ${sql}`)
  }
}
