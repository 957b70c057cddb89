import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SettingChanges } from './setting-changes.ts'

test('changes whose texts say what they do are known, in their order', () => {
  const changes = new SettingChanges()
  assert.equal(changes.any, false)
  changes.touch('a', '1', false)
  changes.touch('b', null, false)
  changes.touch('a', '2', false)
  assert.deepEqual(changes.all, [
    ['a', '1'],
    ['b', null],
    ['a', '2'],
  ])
  assert.ok(changes.any && changes.known)
  assert.equal(changes.lastOf('a'), '2')
  assert.equal(changes.lastOf('b'), null)
  assert.equal(changes.lastOf('c'), undefined)
})

test('what only the server knows makes all unknown: computed values, the defaults of applications, what was undone', () => {
  const known = (act: (changes: SettingChanges) => void): boolean => {
    const changes = new SettingChanges()
    changes.touch('a', '1', false)
    act(changes)
    return changes.known
  }
  assert.ok(known(() => {}))
  assert.ok(!known((changes) => changes.touch('b', undefined, false)))
  assert.ok(!known((changes) => changes.touch('app.b', null, false)))
  assert.ok(known((changes) => changes.touch('app.b', '1', false)))
  assert.ok(!known((changes) => changes.undo()))
})

test('an error before anything was touched undoes nothing', () => {
  const changes = new SettingChanges()
  changes.undo()
  changes.touch('a', '1', false)
  assert.ok(changes.known)
})

test('what is bound counts when it is executed next, and not in another order', () => {
  const known = (steps: string): boolean => {
    const changes = new SettingChanges()
    for (const step of steps) {
      if (step === 'b') {
        changes.touch('a', '1', false)
        changes.bound()
      } else changes.executed()
    }
    return changes.known
  }
  assert.ok(known('be'))
  assert.ok(known('bebe'))
  assert.ok(known('ebe'))
  assert.ok(!known('b'))
  assert.ok(!known('bb'))
  assert.ok(!known('bbee'))
  assert.ok(!known('bee'))
  assert.ok(!known('beb'))
})

test('a change outside of a transaction is there when the transaction is not', () => {
  const changes = new SettingChanges()
  assert.ok(changes.onlyInTransaction)
  changes.touch('a', '1', true)
  assert.ok(changes.onlyInTransaction)
  changes.touch('b', '1', false)
  assert.ok(!changes.onlyInTransaction)
})

test('cleared, nothing is left', () => {
  const changes = new SettingChanges()
  changes.touch('a', undefined, false)
  changes.bound()
  changes.clear()
  assert.ok(!changes.any && changes.known && changes.onlyInTransaction)
})
