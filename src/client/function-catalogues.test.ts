import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PlaneEvent } from '../memory/control-protocol.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { DatabaseFunctions } from '../shard/database-functions.ts'
import type { CalledFunction } from '../sql/function-calls.ts'
import { FunctionCatalogues } from './function-catalogues.ts'

type Question = Extract<PlaneEvent, { op: 'functions' }>

const KNOWN: DatabaseFunctions = { version: '1', names: ['f', 'g'], reading: ['g'], qualified: [['s', 'h']] }

function harness() {
  const asked: Question[] = []
  const catalogues = new FunctionCatalogues((question) => asked.push(question))
  const connection = { state: 'active', inTransaction: false, queue: { length: 0, answered: 7, outstanding: 0 } }
  const on = (database: string, group = 'main'): ServerConnection =>
    Object.assign(Object.create(connection), { target: { database, shard: { group } } }) as ServerConnection
  const answer = (functions: DatabaseFunctions | 'unchanged' | null, question = asked.at(-1)!): void =>
    catalogues.answered({ ...question, functions })
  return { asked, catalogues, connection, on, answer }
}

const calls = (...names: string[]): readonly CalledFunction[] =>
  names.map((name) => ({ schema: name.includes('.') ? name.split('.')[0]! : null, name: name.split('.').at(-1)! }))

test('control is asked once, and what it answers counts', () => {
  const { asked, catalogues, on, answer } = harness()
  const server = on('shop')
  assert.equal(catalogues.areHarmless(calls('f'), server, 0), false)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10), false)
  assert.deepEqual(asked, [{ op: 'functions', group: 'main', database: 'shop', token: 1, known: null }])
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
  catalogues.define(server)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_000), false, 'it is about to be sent')
  Object.assign(connection, { inTransaction: true, queue: { length: 0, answered: 8, outstanding: 0 } })
  answer('unchanged', before)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_001), false)
  assert.equal(catalogues.areHarmless(calls('f'), on('shop'), 10_001), false, 'for other sessions neither')
  assert.equal(asked.length, 2, 'an answer would be of before')
  connection.inTransaction = false
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_002), false)
  assert.equal(asked.length, 3)
  answer(KNOWN, before)
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_003), false)
  answer('unchanged')
  assert.equal(catalogues.areHarmless(calls('f'), server, 10_004), true)
})

test('a definition before anybody has called anything counts as well', () => {
  const { asked, catalogues, connection, on } = harness()
  connection.queue.length = 1
  catalogues.define(on('shop'))
  assert.equal(catalogues.areHarmless(calls('f'), on('shop'), 0), false)
  assert.equal(asked.length, 0)
  connection.state = 'closing'
  catalogues.areHarmless(calls('f'), on('shop'), 1)
  assert.equal(asked.length, 1)
})
