import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { NativeBuffer } from '../io/native.ts'
import { SERVER_STEP } from '../memory/server-slots.ts'
import { BACKEND } from '../protocol/message-type.ts'
import { ReadAttempt } from './read-attempt.ts'
import { REPLY } from './reply-queue.ts'
import type { ServerAnswers } from './server-answers.ts'
import type { ServerConnection } from './server-connection.ts'
import type { TestWaiter } from './server-host.fixture.ts'
import { openPool } from './server-pool.fixture.ts'

interface Bench {
  readonly server: ServerConnection
  readonly client: TestWaiter
  readonly answers: ServerAnswers
  /** A message of this type comes; `body`: what follows its length. */
  comes(type: number, body?: readonly number[]): boolean
}

/** A server connection that a client has. */
function open(t: TestContext): Bench {
  const waiter = openPool(t, { size: 1 }).request('a')
  const { server } = waiter
  assert.ok(server !== null)
  const { answers } = server.relay
  const source = NativeBuffer.allocate(256)
  const comes = (type: number, body: readonly number[] = []): boolean => {
    source.bytes.writeUInt8(type, 0)
    source.bytes.writeInt32BE(4 + body.length, 1)
    source.bytes.set(body, 5)
    answers.begin()
    return answers.take(type, source, 0, 5 + body.length, true)
  }
  return { server, client: waiter, answers, comes }
}

test('while a COPY takes data a Sync is ignored, until the client ends it or the server does', (t) => {
  const { server, answers, comes } = open(t)
  server.queue.push(REPLY.query)
  const copying = (): unknown => [answers.copyingIn, answers.ignoresSync, answers.stepFlags]
  assert.deepEqual(copying(), [false, false, 0])
  comes(BACKEND.copyInResponse, [0, 0, 0])
  assert.deepEqual(copying(), [true, true, SERVER_STEP.copyingIn])
  answers.endCopyIn()
  assert.deepEqual(copying(), [false, false, 0])
  comes(BACKEND.copyInResponse, [0, 0, 0])
  comes(BACKEND.errorResponse, [0])
  assert.deepEqual(copying(), [false, false, 0])
})

test('a COPY both ways lasts until its ReadyForQuery, and heeds a Sync', (t) => {
  const { server, answers, comes } = open(t)
  server.queue.push(REPLY.query)
  comes(BACKEND.copyBothResponse, [0, 0, 0])
  comes(BACKEND.commandComplete, [0x43, 0])
  answers.endCopyIn()
  assert.deepEqual([answers.copyingIn, answers.ignoresSync, answers.stepFlags], [true, false, SERVER_STEP.copyingBoth])
  comes(BACKEND.readyForQuery, [0x49])
  assert.deepEqual([answers.copyingIn, answers.stepFlags], [false, 0])
})

test('what another process wrote down of a COPY is gone on with', (t) => {
  const { answers } = open(t)
  for (const flag of [SERVER_STEP.copyingIn, SERVER_STEP.copyingBoth, 0]) {
    answers.restore(flag | SERVER_STEP.listens)
    assert.equal(answers.stepFlags, flag)
  }
})

test('a message of no known type, and a ReadyForQuery that nobody waits for, end the connection', (t) => {
  const one = open(t)
  assert.equal(one.comes(0x21), false)
  assert.equal(one.server.state, 'closing')
  const other = open(t)
  assert.equal(other.comes(BACKEND.readyForQuery, [0x49]), false)
  assert.equal(other.server.state, 'closing')
})

test('a FATAL error that says that the client has broken the protocol is its last word; others are kept for later', (t) => {
  const { server, client, answers, comes } = open(t)
  server.queue.push(REPLY.query)
  const says = (sqlstate: string): boolean =>
    comes(BACKEND.errorResponse, [...Buffer.from(`SFATAL\0C${sqlstate}\0Mover\0\0`)])
  assert.equal(says('57P01'), true)
  assert.deepEqual([answers.lastWords?.sqlstate, client.violation], ['57P01', null])
  assert.equal(says('08P01'), false)
  assert.deepEqual([answers.lastWords?.sqlstate, client.violation?.sqlstate], ['57P01', '08P01'])
})

test('an error of a replica is asked about as long as nothing of its answer has gone to the client', (t) => {
  const { server, client, answers, comes } = open(t)
  const attempt = new ReadAttempt()
  server.work.attempt = attempt
  const conflict = (): boolean => comes(BACKEND.errorResponse, [...Buffer.from('SERROR\0C40001\0Mconflict\0\0')])
  for (const isDelivered of [false, true]) {
    attempt.open(Buffer.from('Q'), 0, 1)
    server.queue.push(REPLY.query)
    if (isDelivered) {
      answers.begin()
      answers.forward(NativeBuffer.allocate(16), 0, 16)
      answers.end()
    }
    conflict()
    comes(BACKEND.readyForQuery, [0x49])
  }
  assert.deepEqual(client.attemptsFailed, ['40001'])
})
