import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerStatements, SessionStatements, StatementRegistry } from '../session/prepared-statements.ts'
import { type StatementChange, StatementJournal } from './statement-journal.ts'

const NOTHING: StatementChange = { name: '', meant: null, statement: null, wasThere: false, unnamed: false }

function setUp() {
  const named = new SessionStatements(new StatementRegistry())
  const first = named.add('a', Buffer.from('one'))
  assert.ok(first)
  return { named, first, server: new ServerStatements(), journal: new StatementJournal() }
}

test('of several changes of a name that are taken back, what it meant before the first one counts', () => {
  const { named, first, server, journal } = setUp()
  named.delete('a')
  journal.note({ ...NOTHING, name: 'a', meant: first })
  named.add('a', Buffer.from('two'))
  journal.note({ ...NOTHING, name: 'a' })
  journal.beginSkipping()
  for (let n = 0; n < 2; n++) assert.equal(journal.takeBack(named, server), false)
  assert.equal(named.get('a'), first)
  assert.equal(first.users, 1)
})

test('a change that was confirmed stays', () => {
  const { named, first, server, journal } = setUp()
  named.delete('a')
  journal.note({ ...NOTHING, name: 'a', meant: first })
  journal.note({ ...NOTHING, unnamed: true })
  journal.confirm()
  assert.equal(journal.takeBack(named, server), true, 'the unnamed one')
  assert.equal(journal.takeBack(named, server), false, 'nothing is left')
  assert.equal(named.get('a'), undefined)
})

test('a server connection keeps a statement whose closing and new Parse were skipped, not one whose Parse failed', () => {
  const { named, first, server, journal } = setUp()
  for (const isClosed of [false, true]) {
    server.add(first)
    journal.note({ ...NOTHING, statement: first, wasThere: true })
    journal.note({ ...NOTHING, name: 'b', statement: first })
    if (isClosed) journal.confirm()
    journal.beginSkipping()
    for (let n = isClosed ? 1 : 0; n < 2; n++) journal.takeBack(named, server)
    assert.equal(server.use(first), !isClosed)
  }
})

test('a lost server connection takes back every name', () => {
  const { named, first, journal } = setUp()
  journal.note({ ...NOTHING, name: 'a', meant: first })
  named.delete('a')
  journal.note({ ...NOTHING, name: 'b' })
  named.add('b', Buffer.from('two'))
  journal.takeAllBack(named)
  assert.equal(named.get('a'), first)
  assert.equal(named.get('b'), undefined)
})

test('only the oldest changes are looked at for a name, a statement or the unnamed one', () => {
  const { first, journal } = setUp()
  journal.note({ ...NOTHING, name: 'a' })
  journal.note({ ...NOTHING, unnamed: true })
  journal.note({ ...NOTHING, statement: first })
  assert.deepEqual([journal.isPending(0, 'a', null), journal.isPending(1, 'a', null)], [false, true])
  assert.deepEqual([journal.isPending(2, 'b', first), journal.isPending(3, 'b', first)], [false, true])
  assert.deepEqual([journal.isUnnamedAmong(1), journal.isUnnamedAmong(2)], [false, true])
  journal.note({ ...NOTHING, unnamed: true })
  assert.deepEqual([journal.isUnnamedAmong(3), journal.isUnnamedPending], [false, true], 'the last one counts')
})
