import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { STATUS } from '../protocol/message-type.ts'
import { REPLY, REPLY_RING_BYTES, ReplyQueue } from './reply-queue.ts'
import { openServerHost } from './server-host.fixture.ts'
import { rollBack } from './server-rollback.ts'

/** What is asked of a server in this transaction status whose last client has sent these messages, and owed afterwards. */
function asked(t: TestContext, status: number, sent: readonly number[], failed = false) {
  const { link } = openServerHost(t).client
  const queue = new ReplyQueue(new Uint8Array(REPLY_RING_BYTES))
  for (const kind of sent) queue.push(kind)
  if (failed) queue.fail(() => {})
  const questions: string[] = []
  const isOpen = rollBack({ queue, link, status, ask: (sql) => void questions.push(sql) })
  assert.equal(isOpen, true)
  return { questions, owed: queue.length }
}

test('nothing is asked where nothing is open', (t) => {
  assert.deepEqual(asked(t, STATUS.idle, []), { questions: [], owed: 0 })
})

test('a transaction is rolled back, failed or not', (t) => {
  assert.deepEqual(asked(t, STATUS.inTransaction, []).questions, ['ROLLBACK'])
  assert.deepEqual(asked(t, STATUS.failed, []).questions, ['ROLLBACK'])
})

test('messages without their Sync are rolled back: a Sync would commit them', (t) => {
  assert.deepEqual(asked(t, STATUS.idle, [REPLY.parse]), { questions: ['ROLLBACK'], owed: 1 })
})

test('behind an error a Sync comes first, and ends what was implicit', (t) => {
  assert.deepEqual(asked(t, STATUS.idle, [REPLY.parse, REPLY.bind], true), { questions: [], owed: 1 })
  assert.deepEqual(asked(t, STATUS.inTransaction, [REPLY.parse], true), { questions: ['ROLLBACK'], owed: 1 })
})
