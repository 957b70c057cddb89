import assert from 'node:assert/strict'
import { test } from 'node:test'
import { channelsOf, listenSql } from './channels-sql.ts'

test('names of channels are quoted, and none is no SQL', () => {
  assert.equal(listenSql(new Set(['a', 'B "x"'])), 'LISTEN "a";LISTEN "B ""x"""')
  assert.equal(listenSql(new Set()), '')
})

test('names come back as they are in UTF-8', () => {
  const hex = (text: string): string => Buffer.from(text).toString('hex')
  assert.deepEqual(channelsOf([[hex('a')], [hex('größe')]]), ['a', 'größe'])
})
