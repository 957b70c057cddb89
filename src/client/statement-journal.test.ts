import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ServerStatements, SessionStatements, StatementRegistry } from '../session/prepared-statements.ts'
import { addStray, NOTHING, StatementJournal } from './statement-journal.ts'

function setUp() {
  const named = new SessionStatements(new StatementRegistry())
  const first = named.add('a', Buffer.from('one'))
  assert.ok(first)
  const statements = new ServerStatements()
  return {
    named,
    first,
    statements,
    server: { statements, strays: null as Set<string> | null },
    journal: new StatementJournal(),
  }
}

test('of several changes of a name that are taken back, what it meant before the first one counts', () => {
  const { named, first, server, journal } = setUp()
  named.delete('a')
  journal.note({ ...NOTHING, name: 'a', meant: first })
  named.add('a', Buffer.from('two'))
  journal.note({ ...NOTHING, name: 'a' })
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
  const { named, first, statements, server, journal } = setUp()
  for (const isClosed of [false, true]) {
    statements.add(first)
    journal.note({ ...NOTHING, statement: first, wasThere: true })
    journal.note({ ...NOTHING, name: 'b', statement: first })
    if (isClosed) journal.confirm()
    for (let n = isClosed ? 1 : 0; n < 2; n++) journal.takeBack(named, server)
    assert.equal(statements.use(first), !isClosed)
  }
})

test('what is sent behind a skipped change stays as it is answered', () => {
  const { named, first, statements, server, journal } = setUp()
  const skipped = { ...NOTHING, name: 'a', meant: first, statement: first, stray: 's' }
  const later = { ...NOTHING, name: 'a', statement: first, wasThere: true, stray: 's', wasStray: true }
  named.delete('a')
  named.add('a', Buffer.from('two'))
  statements.add(first)
  addStray(server, 's')
  const state = () => [named.get('a')?.tail.toString(), statements.use(first), server.strays?.has('s')]
  for (const change of [skipped, later]) journal.note(change)
  journal.takeBack(named, server)
  assert.deepEqual(state(), ['two', true, true])
  assert.deepEqual(journal.all, [{ ...later, meant: first, wasThere: false, wasStray: false }])
  journal.takeBack(named, server)
  assert.deepEqual(state(), ['one', false, false])
})

test('a statement that is nobody’s is there when its closing was skipped, and not when its Parse was', () => {
  for (const wasStray of [false, true]) {
    for (const isClosed of [false, true]) {
      const { named, server, journal } = setUp()
      if (wasStray) journal.note({ ...NOTHING, stray: 'a', wasStray: true })
      journal.note({ ...NOTHING, stray: 'a' })
      addStray(server, 'a')
      if (wasStray && isClosed) journal.confirm()
      while (!journal.isEmpty) journal.takeBack(named, server)
      assert.equal(server.strays?.has('a'), wasStray && !isClosed)
    }
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
  journal.note({ ...NOTHING, stray: 'c' })
  assert.deepEqual([journal.isPending(3, 'c', null), journal.isPending(4, 'c', null)], [false, true])
  journal.note({ ...NOTHING, unnamed: true })
  assert.deepEqual([journal.isUnnamedAmong(3), journal.isUnnamedPending], [false, true], 'the last one counts')
})
