import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FRONTEND } from '../protocol/message-type.ts'
import { PostgresParser } from '../sql/postgres-parser.ts'
import { SecondOpinion } from '../sql/second-opinion.ts'
import { onlyReads } from './lost-requests.ts'

const seconds = new SecondOpinion(await PostgresParser.load(), () => 0)

function message(type: number, ...parts: (string | number[])[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from(part))),
  )
  const head = Buffer.alloc(5)
  head[0] = type
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

const query = (sql: string): Buffer => message(FRONTEND.query, sql)
const parse = (name: string, sql: string): Buffer => message(FRONTEND.parse, name, sql, [0, 0])
const bind = (name: string): Buffer => message(FRONTEND.bind, '', name, [0, 0, 0, 0, 0, 0])
const rest = [
  message(FRONTEND.describe, [0x50], ''),
  message(FRONTEND.execute, '', [0, 0, 0, 0]),
  message(FRONTEND.sync),
]

const prepared = new Map([
  ['r', Buffer.from('select 1 from t\0\0\0')],
  ['w', Buffer.from('delete from t\0\0\0')],
])
const reads = (...messages: Buffer[]): boolean =>
  onlyReads(
    Buffer.concat(messages),
    (bytes, start, end) => seconds.of(bytes, start, end),
    (name) => prepared.get(name) ?? null,
  )

test('a query that reads, and several in one text', () => {
  for (const sql of ['select 1', 'table t', 'select * from t where x = random()', 'select 1; select 2', 'show all']) {
    assert.equal(reads(query(sql)), true, sql)
  }
})

test('whatever writes, locks, calls what nobody knows, or cannot be parsed, is none', () => {
  for (const sql of [
    'insert into t values (1)',
    'select 1; delete from t',
    'with d as (delete from t returning *) select * from d',
    'select * from t for update',
    'select * into u from t',
    "select nextval('s')",
    'select pg_advisory_lock(1)',
    "select pg_notify('a', 'b')",
    'select my_function()',
    'commit',
    'selekt',
    '',
  ]) {
    assert.equal(reads(query(sql)), false, sql)
  }
})

test('an extended query is what its statement is', () => {
  assert.equal(reads(parse('', 'select $1'), bind(''), ...rest), true)
  assert.equal(reads(parse('', 'delete from t'), bind(''), ...rest), false)
  assert.equal(reads(bind('r'), ...rest), true)
  assert.equal(reads(bind('w'), ...rest), false)
  assert.equal(reads(bind('unknown'), ...rest), false)
})

test('a pipeline reads when all of it does', () => {
  assert.equal(reads(bind('r'), ...rest, query('select 2')), true)
  assert.equal(reads(bind('r'), ...rest, bind('w'), ...rest), false)
})

test('what is not whole, not known, or nothing, is none', () => {
  assert.equal(reads(query('select 1').subarray(0, 8)), false)
  assert.equal(reads(Buffer.concat([query('select 1'), Buffer.from([0x51])])), false)
  assert.equal(reads(message(FRONTEND.functionCall, [0, 0, 0, 1])), false)
  assert.equal(reads(message(FRONTEND.copyData, [1])), false)
  assert.equal(reads(), false)
})
