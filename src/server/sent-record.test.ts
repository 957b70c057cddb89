import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NativeBuffer } from '../io/native.ts'
import { SentRecord } from './sent-record.ts'

const source = NativeBuffer.allocate(8192)
source.bytes.write('abcdef')

test('what is sent is kept, piece by piece, until something else is first', () => {
  const record = new SentRecord()
  assert.equal(record.whole, null)
  record.begin(true)
  record.note(source, 0, 2)
  record.note(source, 2, 4)
  assert.equal(String(record.whole), 'abcd')
  record.begin(true)
  record.note(source, 4, 6)
  assert.equal(String(record.whole), 'ef')
  record.forget()
  assert.equal(record.whole, null)
  record.note(source, 0, 1)
  assert.equal(record.whole, null)
})

test('what is too long is not kept in part', () => {
  const record = new SentRecord()
  record.begin(true)
  record.note(source, 0, 2048)
  assert.equal(record.whole?.length, 2048)
  record.note(source, 0, 1)
  record.note(source, 0, 1)
  assert.equal(record.whole, null)
  record.begin(true)
  record.note(source, 0, 2049)
  assert.equal(record.whole, null)
})

test('in a transaction only the request at hand is kept, which is not the whole of it', () => {
  const record = new SentRecord()
  record.begin(true)
  record.note(source, 0, 2)
  record.begin(false)
  record.note(source, 2, 4)
  assert.deepEqual([record.whole, String(record.pending)], [null, 'cd'])
})

test('a whole transaction is kept where that is wanted, up to its limit', () => {
  const record = new SentRecord()
  record.transactionBytes = 4096
  record.begin(true)
  record.note(source, 0, 2)
  record.begin(false)
  record.note(source, 2, 4)
  assert.deepEqual([String(record.whole), record.answered, String(record.pending)], ['abcd', 2, 'cd'])
  record.note(source, 6, 4097)
  assert.deepEqual([record.whole?.length, String(record.whole?.subarray(0, 4))], [4095, 'abcd'])
  record.note(source, 0, 2)
  assert.deepEqual([record.whole, record.pending], [null, null])
  record.begin(false)
  record.note(source, 4, 6)
  assert.deepEqual([record.whole, String(record.pending)], [null, 'ef'])
})
