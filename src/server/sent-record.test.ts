import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NativeBuffer } from '../io/native.ts'
import { SentRecord } from './sent-record.ts'

const source = NativeBuffer.allocate(4096)
source.bytes.write('abcdef')

test('what is sent is kept, piece by piece, until something else is first', () => {
  const record = new SentRecord()
  assert.equal(record.whole, null)
  record.note(source, 0, 2, true)
  record.note(source, 2, 4, false)
  assert.equal(String(record.whole), 'abcd')
  record.note(source, 4, 6, true)
  assert.equal(String(record.whole), 'ef')
  record.forget()
  assert.equal(record.whole, null)
  record.note(source, 0, 1, false)
  assert.equal(record.whole, null)
})

test('what is too long is not kept in part', () => {
  const record = new SentRecord()
  record.note(source, 0, 2048, true)
  assert.equal(record.whole?.length, 2048)
  record.note(source, 0, 1, false)
  record.note(source, 0, 1, false)
  assert.equal(record.whole, null)
  record.note(source, 0, 2049, true)
  assert.equal(record.whole, null)
})
