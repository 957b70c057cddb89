import assert from 'node:assert/strict'
import { test } from 'node:test'
import { bind, describe, execute, message, parse, query, sync } from '../protocol/client-messages.fixture.ts'
import { FRONTEND } from '../protocol/message-type.ts'
import { PostgresParser } from '../sql/postgres-parser.ts'
import { SecondOpinion } from '../sql/second-opinion.ts'
import { StatementFacts } from '../sql/statement-facts.ts'
import { answeredPart, isLoneCommit, onlyReads, onlyReadsSoFar, whyNotReplayable } from './lost-requests.ts'

const seconds = new SecondOpinion(await PostgresParser.load(), () => 0)

const rest = [describe('P', ''), execute(), sync()]

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

test('what only begins a transaction', () => {
  for (const sql of ['begin', 'BEGIN ISOLATION LEVEL REPEATABLE READ;', ' start transaction read only']) {
    assert.equal(reads(query(sql)), true, sql)
  }
  assert.equal(reads(parse('', 'begin'), bind(''), ...rest), true)
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
    'begin; commit',
    'begin; set x.y = 1',
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

const isCommit = (...messages: Buffer[]): boolean =>
  isLoneCommit(Buffer.concat(messages), (name) =>
    name === 'c' ? Buffer.from('COMMIT\0\0\0') : (prepared.get(name) ?? null),
  )

test('a COMMIT is one in any form, if nothing else is with it', () => {
  for (const sql of ['commit', ' END ;', 'Commit Transaction', 'end work'])
    assert.equal(isCommit(query(sql)), true, sql)
  assert.equal(isCommit(parse('', 'COMMIT'), bind(''), ...rest), true)
  assert.equal(isCommit(bind('c'), ...rest), true)
  for (const sql of ['commit and chain', 'select 1; commit', "commit prepared 'a'", 'rollback', '-- x\ncommit']) {
    assert.equal(isCommit(query(sql)), false, sql)
  }
  assert.equal(isCommit(query('commit'), query('commit')), false)
  assert.equal(isCommit(query('commit'), query('select 1')), false)
  assert.equal(isCommit(bind('c'), ...rest, bind('r'), ...rest), false)
  assert.equal(isCommit(bind('w'), ...rest), false)
  assert.equal(isCommit(bind('nobody'), ...rest), false)
  assert.equal(isCommit(parse('', 'COMMIT'), message(FRONTEND.sync)), false)
  assert.equal(isCommit(), false)
})

const facts = new StatementFacts(null)
const whyNotBehind = (hasBegun: boolean, messages: readonly Buffer[]): string | null =>
  whyNotReplayable(Buffer.concat(messages), {
    hasBegun,
    opinion: (bytes, start, end) => seconds.of(bytes, start, end),
    facts,
    tailOf: (name) => prepared.get(name) ?? null,
    areHarmless: (calls) => calls.every(({ name }) => name === 'my_known_function'),
  })

const whyNot = (...messages: Buffer[]): string | null => whyNotBehind(false, messages)

test('where the BEGIN was put off, the first statement is the first message', () => {
  assert.equal(whyNotBehind(true, [query('INSERT INTO t VALUES (1)')]), null)
  assert.match(whyNotBehind(true, [query('INSERT INTO t VALUES (1)'), query('COMMIT')]) ?? '', /ends in between/)
  assert.match(whyNotBehind(true, []) ?? '', /empty/)
})

test('a transaction from its BEGIN on, whose statements PostgreSQL can undo, may be run again', () => {
  const begin = query('BEGIN')
  assert.equal(whyNot(begin), null)
  assert.equal(whyNot(query('start transaction isolation level serializable')), null)
  assert.equal(
    whyNot(begin, query('INSERT INTO t VALUES (random(), now())'), query('SAVEPOINT a'), query('ROLLBACK TO a')),
    null,
  )
  assert.equal(whyNot(parse('', 'BEGIN'), bind(''), ...rest, bind('w'), ...rest), null)
  assert.equal(
    whyNot(begin, query('COPY t FROM STDIN'), message(FRONTEND.copyData, [1]), message(FRONTEND.copyDone)),
    null,
  )
  assert.equal(whyNot(begin, query('DECLARE c CURSOR FOR SELECT 1'), query('FETCH c'), query("NOTIFY a, 'b'")), null)
  assert.equal(whyNot(begin, query('SELECT my_known_function(), pg_advisory_xact_lock(1)')), null)
})

test('a transaction that reaches out of itself, or of which something is not known, may not', () => {
  const begin = query('BEGIN')
  for (const [messages, why] of [
    [[], /empty/],
    [[query('INSERT INTO t VALUES (1)'), begin], /did not begin/],
    [[query('INSERT INTO t VALUES (1); BEGIN')], /did not begin/],
    [[begin, query('COMMIT'), begin], /ends in between/],
    [[begin, query('SELECT 1; ROLLBACK; BEGIN')], /ends in between/],
    [[begin, query("PREPARE TRANSACTION 'a'")], /ends in between/],
    [[begin, query("SELECT nextval('s')")], /more than PostgreSQL can undo/],
    [[begin, query('SELECT my_function()')], /more than PostgreSQL can undo/],
    [[begin, query('SELECT pg_advisory_lock(1)')], /more than PostgreSQL can undo/],
    [[begin, query('CREATE TEMP TABLE x (y int)')], /more than PostgreSQL can undo/],
    [[begin, query('DO $$ begin end $$')], /more than PostgreSQL can undo/],
    [[begin, query("COPY t TO '/tmp/file'")], /reaches out/],
    [[begin, query("COPY t FROM PROGRAM 'ls'")], /reaches out/],
    [[begin, query('SELECT pg_terminate_backend(1)')], /reaches out/],
    [[begin, query("SELECT * FROM dblink('x', 'y') AS z(a int)")], /reaches out/],
    [[begin, query('EXECUTE w')], /by name/],
    [[begin, query('selekt')], /not understood/],
    [[begin, bind('nobody'), ...rest], /not known any more/],
    [[begin, bind(''), ...rest], /not known any more/],
    [[begin, message(FRONTEND.functionCall, [0, 0, 0, 1])], /by number/],
    [[begin, query('SELECT 1').subarray(0, 8)], /not known any more/],
  ] as const) {
    assert.match(whyNot(...messages) ?? 'it may', why, messages.map(String).join())
  }
})

test('a transaction has only read when nothing in it may write', () => {
  const hasRead = (...messages: Buffer[]): boolean =>
    onlyReadsSoFar(
      Buffer.concat(messages),
      (bytes, start, end) => seconds.of(bytes, start, end),
      (name) => prepared.get(name) ?? null,
      (calls) => calls.every(({ name }) => name === 'my_reading_function'),
    )
  const begin = query('BEGIN')
  assert.equal(hasRead(begin, query('SAVEPOINT a'), query('SELECT my_reading_function()'), query('COMMIT')), true)
  assert.equal(hasRead(begin, bind('r'), ...rest, query('COMMIT')), true)
  assert.equal(hasRead(begin, bind('w'), ...rest, query('COMMIT')), false)
  assert.equal(hasRead(begin, query('SELECT my_function()'), query('COMMIT')), false)
  assert.equal(hasRead(begin, query("NOTIFY a, 'b'"), query('COMMIT')), false)
  assert.equal(hasRead(begin, query('SELECT 1 FOR UPDATE'), query('COMMIT')), false)
  assert.equal(hasRead(begin, bind('nobody'), ...rest), false)
  assert.equal(hasRead(begin, message(FRONTEND.functionCall, [0, 0, 0, 1])), false)
  assert.equal(hasRead(), false)
})

test('what is answered ends behind the last message for which no ReadyForQuery is owed', () => {
  const first = query('begin')
  const second = Buffer.concat([parse('', 'select 1'), bind(''), ...rest])
  const third = query('select 2')
  const all = Buffer.concat([first, second, third])
  const owed = (count: number, least = 0): number => answeredPart(all, least, count)
  assert.deepEqual([owed(0), owed(1), owed(2)], [all.length, all.length - third.length, first.length])
  // Nothing is, or no more than is known anyway.
  assert.deepEqual([owed(3), owed(1, all.length), owed(2, first.length)], [0, all.length, first.length])
  const unfinished = Buffer.concat([first, parse('', 'select 1')])
  assert.equal(answeredPart(unfinished, 0, 0), first.length)
})
