import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { type DatabaseFunctions, type DatabaseRelations, NO_RELATIONS } from '../shard/database-functions.ts'
import type { CalledFunction } from '../sql/function-calls.ts'
import { PostgresParser } from '../sql/postgres-parser.ts'
import { SecondOpinion } from '../sql/second-opinion.ts'
import { FunctionCatalogues } from './function-catalogues.ts'

type Question = Extract<PlaneEvent, { op: 'functions' }>

const KNOWN: DatabaseFunctions = {
  version: '1',
  hasNames: true,
  names: ['f', 'g'],
  reading: ['g'],
  qualified: [['s', 'h']],
  relations: NO_RELATIONS,
}

const parser = await PostgresParser.load()

const withRelations = (version: string, relations: Partial<DatabaseRelations>): DatabaseFunctions => ({
  ...KNOWN,
  version,
  relations: { ...NO_RELATIONS, ...relations },
})

function harness() {
  const asked: Question[] = []
  const found: string[] = []
  const catalogues = new FunctionCatalogues((question) => asked.push(question), {
    opinion: new SecondOpinion(parser, () => 0),
    onFound: (group, database) => found.push(`${group}/${database}`),
  })
  const connection = { state: 'active', inTransaction: false, queue: { length: 0, answered: 7, outstanding: 0 } }
  const on = (database: string, group = 'main'): ServerConnection =>
    Object.assign(Object.create(connection), { target: { database, shard: { group } } }) as ServerConnection
  const answer = (functions: DatabaseFunctions | 'unchanged' | null, question = asked.at(-1)!): void =>
    catalogues.answered({ ...question, functions })
  const mayLeave = (sql: string, now: number, server = on('shop')): boolean => {
    const bytes = Buffer.from(sql)
    return catalogues.mayLeave(server.target, now, bytes, 0, bytes.length)
  }
  return { asked, found, catalogues, connection, on, answer, mayLeave }
}

const calls = (...names: string[]): readonly CalledFunction[] =>
  names.map((name) => ({ schema: name.includes('.') ? name.split('.')[0]! : null, name: name.split('.').at(-1)! }))

test('control is asked once, and what it answers counts', () => {
  const { asked, catalogues, on, answer } = harness()
  const server = on('shop')
  assert.equal(catalogues.areHarmless(calls('f'), server, 0), false)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10), false)
  assert.deepEqual(asked, [
    { op: 'functions', group: 'main', database: 'shop', token: 1, known: null, withNames: true },
  ])
  answer(KNOWN)
  assert.equal(catalogues.areHarmless(calls('f', 's.g', 's.h'), server, 20), true)
  for (const name of ['h', 't.h', 'unknown']) assert.equal(catalogues.areHarmless(calls('f', name), server, 20), false)
  assert.equal(asked.length, 1)
  assert.equal(catalogues.onlyRead(calls('g'), server.target, 20), true)
  assert.equal(catalogues.onlyRead(calls('g', 'f'), server.target, 20), false)
})

test('databases and groups are told apart', () => {
  const { asked, catalogues, on, answer } = harness()
  catalogues.areHarmless(calls('f'), on('shop'), 0)
  answer(KNOWN)
  assert.equal(catalogues.areHarmless(calls('f'), on('other'), 1), false)
  assert.equal(catalogues.areHarmless(calls('f'), on('shop', 'eu'), 1), false)
  assert.equal(asked.length, 3)
})

test('it is asked again while it is believed, and not believed for long without an answer', () => {
  const { asked, catalogues, on, answer } = harness()
  const server = on('shop')
  catalogues.areHarmless(calls('f'), server, 0)
  answer(KNOWN)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_000), true)
  assert.equal(asked.at(-1)?.known, '1')
  assert.equal(catalogues.areHarmless(calls('f'), server, 15_000), true)
  assert.equal(asked.length, 3, 'nobody has answered')
  assert.equal(catalogues.areHarmless(calls('f'), server, 30_001), false)
  answer('unchanged')
  assert.equal(catalogues.areHarmless(calls('f'), server, 30_002), true)
})

test('when it cannot be told, nothing is known for as long as it was believed', () => {
  const { catalogues, on, answer } = harness()
  const server = on('shop')
  catalogues.areHarmless(calls('f'), server, 0)
  answer(null)
  assert.equal(catalogues.areHarmless(calls('f'), server, 1), false)
})

test('where functions are defined, nothing is known until it was asked for after the end of the transaction', () => {
  const { asked, catalogues, connection, on, answer } = harness()
  const server = on('shop')
  catalogues.areHarmless(calls('f'), server, 0)
  answer(KNOWN)
  catalogues.areHarmless(calls('f'), server, 10_000)
  const before = asked.at(-1)!
  catalogues.define(server, 10_000)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_000), false, 'it is about to be sent')
  Object.assign(connection, { inTransaction: true, queue: { length: 0, answered: 8, outstanding: 0 } })
  answer('unchanged', before)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_001), false)
  assert.equal(catalogues.areHarmless(calls('f'), on('shop'), 10_001), false, 'for other sessions neither')
  assert.equal(asked.length, 2, 'an answer would be of before')
  connection.inTransaction = false
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_102), false)
  assert.equal(asked.length, 3)
  answer(KNOWN, before)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_103), false)
  answer('unchanged')
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_104), true)
})

test('a definition before anybody has called anything counts as well', () => {
  const { asked, catalogues, connection, on } = harness()
  connection.queue.length = 1
  catalogues.define(on('shop'), 0)
  assert.equal(catalogues.areHarmless(calls('f'), on('shop'), 0), false)
  assert.equal(asked.length, 0)
  connection.state = 'closing'
  catalogues.areHarmless(calls('f'), on('shop'), 1)
  assert.equal(asked.length, 1)
})

test('a database in use is asked about at once, and again from time to time, although nobody calls a function', () => {
  const { asked, catalogues, on, answer } = harness()
  const { target } = on('shop')
  assert.equal(catalogues.attend(target, 0), true)
  assert.equal(catalogues.attend(target, 14_999), false)
  assert.equal(catalogues.attend(target, 15_000), true, 'nobody has answered')
  answer(KNOWN)
  assert.equal(catalogues.isWatching, false, 'no relation leads anywhere')
  assert.equal(catalogues.attend(target, 74_999), false)
  assert.equal(catalogues.attend(target, 75_000), true)
  assert.equal(catalogues.attend(on('other').target, 75_001), true)
  assert.equal(asked.length, 4)
})

test('names of functions are asked for when somebody calls one, also where relations are known', () => {
  const { asked, catalogues, on, answer } = harness()
  const server = on('shop')
  catalogues.attend(server.target, 0)
  assert.equal(asked.at(-1)?.withNames, false)
  answer({ ...KNOWN, names: [], hasNames: false })
  assert.equal(catalogues.areHarmless(calls('f'), server, 1), false)
  assert.deepEqual(asked.at(-1), { ...asked[0], token: 2, known: null, withNames: true })
  answer(KNOWN)
  assert.equal(catalogues.areHarmless(calls('f'), server, 2), true)
})

test('statements on relations that lead to others may leave something, as long as they do', () => {
  const { found, catalogues, on, answer, mayLeave } = harness()
  catalogues.attend(on('shop').target, 0)
  answer(withRelations('1', { read: [['s', 'v']], written: [['s', 't']] }))
  assert.equal(catalogues.isWatching, true)
  assert.deepEqual(found, ['main/shop'], 'what was done before was not seen')
  assert.equal(mayLeave('SELECT * FROM v', 1), true)
  assert.equal(mayLeave('SELECT * FROM t', 1), false)
  assert.equal(mayLeave('INSERT INTO t VALUES (1)', 1), true)
  assert.equal(mayLeave('INSERT INTO t VALUES (1)', 1, on('other')), false)
  assert.equal(catalogues.mayLeave(on('shop').target, 1, null, 0, 0), true, 'a text that is not seen whole')
  catalogues.attend(on('shop').target, 60_000)
  answer(withRelations('2', { read: [['s', 'v']] }))
  assert.equal(mayLeave('INSERT INTO t VALUES (1)', 60_001), false)
  assert.equal(found.length, 1, 'nothing is new')
  catalogues.attend(on('shop').target, 120_000)
  answer(withRelations('3', { read: [['s', 'v']], written: [['s', 'u']] }))
  assert.equal(found.length, 2)
  catalogues.attend(on('shop').target, 180_000)
  answer(withRelations('4', {}))
  assert.equal(catalogues.isWatching, false)
})

test('what was known counts until something else is known', () => {
  const { catalogues, on, answer, mayLeave } = harness()
  catalogues.attend(on('shop').target, 0)
  answer(withRelations('1', { read: [['s', 'v']] }))
  assert.equal(mayLeave('SELECT * FROM v', 1e9), true)
  answer(null)
  assert.equal(mayLeave('SELECT * FROM v', 1e9), true)
})

test('where something was defined, any relation may lead anywhere until it was asked for', () => {
  const { found, catalogues, connection, on, answer, mayLeave } = harness()
  const server = on('shop')
  catalogues.attend(server.target, 0)
  answer(KNOWN)
  catalogues.define(server, 1000)
  assert.equal(catalogues.isWatching, true)
  for (const sql of [
    'SELECT * FROM t',
    'COPY t FROM STDIN',
    'CREATE TRIGGER x BEFORE INSERT ON t EXECUTE FUNCTION f()',
  ])
    assert.equal(mayLeave(sql, 1000), true, sql)
  for (const sql of [
    'SELECT 1',
    'COMMIT',
    'CREATE VIEW v AS SELECT * FROM t',
    'BEGIN; CREATE VIEW v AS SELECT * FROM t',
  ])
    assert.equal(mayLeave(sql, 1000), false, sql)
  assert.equal(mayLeave('CREATE VIEW v AS SELECT * FROM t; SELECT * FROM v', 1000), true)
  connection.queue.answered = 8
  assert.equal(mayLeave('SELECT * FROM t', 1001), true)
  answer(withRelations('2', { written: [['s', 't']] }))
  assert.equal(mayLeave('SELECT * FROM t', 1002), false)
  assert.equal(mayLeave('DELETE FROM t', 1002), true)
  assert.deepEqual(found, [], 'nothing was left behind meanwhile')
})

test('it is in doubt for a while only, and not at all where nobody can look', () => {
  const { catalogues, connection, on, answer, mayLeave } = harness()
  const server = on('shop')
  catalogues.define(server, 0)
  connection.queue.answered = 8
  assert.equal(mayLeave('SELECT * FROM t', 1), true)
  assert.equal(mayLeave('SELECT * FROM t', 30_001), false)
  assert.equal(catalogues.isWatching, false)
  answer(null)
  catalogues.define(server, 40_000)
  assert.equal(mayLeave('SELECT * FROM t', 40_000), false)
})

test('where definition follows definition, control is not asked after each', () => {
  const { asked, catalogues, connection, on, mayLeave } = harness()
  const server = on('shop')
  for (let now = 0; now < 1000; now += 10) {
    catalogues.define(server, now)
    connection.queue.answered += 1
    mayLeave('SELECT * FROM t', now + 5)
  }
  assert.equal(asked.length, 10)
})
