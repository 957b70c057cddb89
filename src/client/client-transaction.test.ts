import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CLIENT_STEP } from '../memory/client-slots.ts'
import { STATUS } from '../protocol/message-type.ts'
import { type Effects, FACT } from '../sql/statement-effects.ts'
import { ClientTransaction } from './client-transaction.ts'
import type { DeferredBegin } from './deferred-begin.ts'

const doing = (flags: number): Effects => ({ pins: 0, flags, settings: [], values: [], channels: [], calls: null })

function begin(): DeferredBegin {
  return { sql: 'BEGIN', isReadOnly: false, isSerializable: false, isSent: false, hasSnapshot: false }
}

test('the end of a transaction is on its way until its ReadyForQuery is answered', () => {
  const transaction = new ClientTransaction()
  transaction.note(doing(FACT.commits), { answered: 3, outstanding: 1 }, false)
  assert.equal(transaction.ending({ answered: 4 }), 'commit')
  assert.equal(transaction.endsAfter({ answered: 3 }), 2)
  assert.equal(transaction.ending({ answered: 5 }), 'none')
  assert.equal(transaction.endsAfter({ answered: 6 }), 0)
})

test('of a text that has been sent already, its own ReadyForQuery is among those that are owed', () => {
  const transaction = new ClientTransaction()
  transaction.note(doing(FACT.rollsBack), { answered: 3, outstanding: 1 }, true)
  assert.equal(transaction.endsAfter({ answered: 3 }), 1)
})

test('a COMMIT among several ends counts, and none of those before', () => {
  const transaction = new ClientTransaction()
  transaction.note(doing(FACT.preparesTransaction), { answered: 0, outstanding: 0 }, false)
  transaction.note(doing(FACT.rollsBack), { answered: 0, outstanding: 1 }, false)
  assert.equal(transaction.ending({ answered: 0 }), 'commit')
  transaction.note(doing(FACT.rollsBack), { answered: 2, outstanding: 0 }, false)
  assert.equal(transaction.ending({ answered: 2 }), 'rollback')
})

test('what ends no transaction changes nothing, and on another server connection nothing is on its way', () => {
  const transaction = new ClientTransaction()
  transaction.note(doing(FACT.begins), { answered: 0, outstanding: 0 }, false)
  assert.equal(transaction.ending({ answered: 0 }), 'none')
  transaction.note(doing(FACT.commits), { answered: 0, outstanding: 0 }, false)
  transaction.settleIn()
  assert.equal(transaction.ending({ answered: 0 }), 'none')
})

test('a BEGIN that no server knows of opens the transaction, and is sent once to each server connection', () => {
  const transaction = new ClientTransaction()
  assert.equal(transaction.takeBegin(), '')
  transaction.deferredBegin = begin()
  assert.equal(transaction.idleStatus, STATUS.inTransaction)
  assert.equal(transaction.statusOn({ status: STATUS.idle }), STATUS.inTransaction)
  assert.equal(transaction.statusOn({ status: STATUS.failed }), STATUS.failed)
  assert.deepEqual([transaction.takeBegin(), transaction.takeBegin()], ['BEGIN', ''])
  transaction.changeServer()
  assert.equal(transaction.takeBegin(), 'BEGIN')
})

test('a lost transaction is a failed one, without its BEGIN, until a server connection has it as such', () => {
  const transaction = new ClientTransaction()
  transaction.deferredBegin = begin()
  transaction.lose(true)
  assert.deepEqual([transaction.isLost, transaction.idleStatus, transaction.takeBegin()], [true, STATUS.failed, ''])
  transaction.failed()
  assert.deepEqual([transaction.isLost, transaction.idleStatus], [false, STATUS.idle])
})

test('another process goes on with it', () => {
  const transaction = new ClientTransaction()
  transaction.lose(true)
  transaction.note(doing(FACT.commits), { answered: 7, outstanding: 0 }, false)
  assert.equal(transaction.stepFlags, CLIENT_STEP.transactionLost | CLIENT_STEP.mayCommit)
  const other = new ClientTransaction()
  other.restore(transaction.stepFlags, transaction.endsAfter({ answered: 7 }), begin())
  assert.deepEqual([other.isLost, other.ending({ answered: 0 }), other.takeBegin()], [true, 'commit', 'BEGIN'])
})
