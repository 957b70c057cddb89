import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PauseLedger } from './pause-ledger.ts'

test('a plane that starts later is told of everything that is held back', () => {
  const ledger = new PauseLedger()
  ledger.hold('pause', 'shop')
  ledger.hold('kill', null)
  assert.deepEqual(ledger.commands(), [
    { op: 'pause', database: 'shop' },
    { op: 'kill', database: null },
  ])
  assert.deepEqual([ledger.all, ledger.databases], [true, ['shop']])
})

test('RESUME of one database ends only its own pause', () => {
  const ledger = new PauseLedger()
  ledger.hold('pause', 'shop')
  ledger.hold('pause', 'crm')
  ledger.hold('pause', null)
  ledger.resume('shop')
  assert.deepEqual([ledger.all, ledger.databases], [true, ['crm']])
})

test('RESUME of everything ends every pause', () => {
  const ledger = new PauseLedger()
  ledger.hold('kill', 'shop')
  ledger.hold('pause', null)
  ledger.resume(null)
  assert.deepEqual(ledger.commands(), [])
})

test('what is held back is noted after each change', () => {
  const ledger = new PauseLedger()
  const notes: (readonly (string | null)[])[] = []
  ledger.hold('pause', 'app')
  ledger.keepIn((databases) => notes.push(databases))
  ledger.hold('kill', null)
  ledger.resume('app')
  ledger.resume(null)
  assert.deepEqual(notes, [['app'], ['app', null], [null], []])
})
