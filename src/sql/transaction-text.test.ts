import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readTransactionText, type TransactionText } from './transaction-text.ts'

function read(sql: string): TransactionText | null {
  const bytes = Buffer.from(`xx${sql}yy`)
  return readTransactionText(bytes, 2, bytes.length - 2)
}

test('how a transaction begins: its tags, access and isolation', () => {
  const begins: [string, Partial<TransactionText>][] = [
    ['BEGIN', { tags: ['BEGIN'], access: null, isolation: null }],
    ['begin work;', { tags: ['BEGIN'] }],
    ['BEGIN READ ONLY', { access: 'read only' }],
    ['/* app */ begin transaction read write -- why', { access: 'read write' }],
    [
      'START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY',
      { tags: ['START TRANSACTION'], access: 'read only' },
    ],
    ['begin isolation level repeatable read read only', { isolation: 'repeatable read', access: 'read only' }],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY NOT DEFERRABLE', { isolation: 'serializable', access: 'read only' }],
    ['BEGIN READ ONLY READ WRITE', { access: 'read write' }],
    ['BEGIN; SET TRANSACTION READ ONLY', { tags: ['BEGIN', 'SET'], access: 'read only' }],
  ]
  for (const [sql, expected] of begins) {
    const text = read(sql)
    assert.equal(text?.kind, 'begins', sql)
    assert.deepEqual({ ...text, ...expected }, text, sql)
  }
})

test('SET TRANSACTION, and ends without a chain', () => {
  assert.deepEqual(read('SET TRANSACTION READ ONLY'), {
    kind: 'sets',
    tags: ['SET'],
    access: 'read only',
    isolation: null,
  })
  for (const [sql, tag] of [
    ['COMMIT', 'COMMIT'],
    ['end work', 'COMMIT'],
    ['ROLLBACK TRANSACTION;', 'ROLLBACK'],
    ['abort', 'ROLLBACK'],
  ]) {
    assert.deepEqual(read(sql as string), { kind: 'ends', tags: [tag], access: null, isolation: null })
  }
})

test('everything else is left to the server', () => {
  const others = [
    '',
    ';',
    'SELECT 1',
    'BEGIN; SELECT 1',
    'BEGIN; COMMIT',
    'COMMIT; BEGIN',
    'COMMIT AND CHAIN',
    'ROLLBACK TO s',
    'COMMIT PREPARED',
    'BEGIN READ',
    'BEGIN , READ ONLY',
    'BEGIN READ ONLY,',
    'BEGIN READ ONLY,, READ WRITE',
    'BEGIN ISOLATION LEVEL REPEATABLE',
    'BEGIN NOT',
    'START',
    'SET TRANSACTION',
    "SET TRANSACTION SNAPSHOT '00000003-1'",
    'SET LOCAL transaction_read_only = on',
    'SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY',
    'BEGIN "read" only',
    `BEGIN ${'DEFERRABLE '.repeat(80)}`,
  ]
  for (const sql of others) assert.equal(read(sql), null, sql)
})
