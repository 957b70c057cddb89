import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatLsn, parseLsn } from './lsn.ts'

test('positions are read and printed as PostgreSQL does', () => {
  assert.equal(parseLsn('0/15D6A90'), 0x15d6a90n)
  assert.equal(parseLsn('16/B374D848'), 0x16b374d848n)
  for (const text of ['0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF']) assert.equal(formatLsn(parseLsn(text)), text)
  assert.ok(parseLsn('1/0') > parseLsn('0/FFFFFFFF'))
})

test('what is no position is refused', () => {
  for (const text of ['', '1', '1/', '/1', '1/2/3', '123456789/0', 'x/y'])
    assert.throws(() => parseLsn(text), /not a position/)
})
