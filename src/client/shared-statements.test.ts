import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CLIENT, PIN } from '../memory/client-slots.ts'
import { openPlane, type TestClient, type TestPlane } from '../plane/plane.fixture.ts'
import {
  bind,
  closeStatement,
  describe,
  execute,
  message,
  parse,
  query,
  sync,
} from '../protocol/client-messages.fixture.ts'
import { FRONTEND, STATUS } from '../protocol/message-type.ts'
import type { TestBackend } from '../server/shard-peer.fixture.ts'

/** Two clients that take turns at the server connections, of which there are `poolSize`. */
function open(t: TestContext, poolSize = 1) {
  const plane = openPlane(t, {}, poolSize)
  plane.shard.preparesAtOnce = true
  return { plane, ada: plane.connect().login(), eve: plane.connect().login() }
}

function say(client: TestClient, ...messages: readonly Buffer[]): string {
  client.send(Buffer.concat(messages))
  return client.told().join(' ')
}

function backendOf({ shard }: TestPlane, index = 0): TestBackend {
  const backend = shard.open[index]
  assert.ok(backend !== undefined)
  return backend
}

/** What the shard was asked since the last time, of statements. */
function takeStatements(backend: TestBackend): string[] {
  return backend.statements.splice(0)
}

test('a statement that somebody else has prepared there is not sent again, and is answered all the same', (t) => {
  const { plane, ada, eve } = open(t)
  assert.equal(say(ada, parse('a', 'select 1'), sync()), '1 Z I')
  const backend = backendOf(plane)
  const [prepared] = takeStatements(backend)
  assert.match(prepared ?? '', /^\+switchyard_\d+ select 1$/)
  assert.equal(say(eve, parse('e', 'select 1'), bind('e'), execute(), sync()), '1 2 C Z I')
  assert.deepEqual(takeStatements(backend), [])
  assert.equal(backend.types, 'PSBES')
})

test('a server connection that lacks a statement gets its Parse ahead of the Bind, and nobody sees the answer', (t) => {
  const { plane, ada, eve } = open(t, 2)
  say(ada, parse('a', 'select 1'), sync())
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  eve.query('begin')
  assert.equal(say(ada, bind('a'), execute(), sync()), '2 C Z I')
  const second = backendOf(plane, 1)
  assert.deepEqual([second.types, second.statements], ['PBES', backendOf(plane).statements])
  assert.equal(say(ada, describe('S', 'a'), sync()), 'n Z I')
  assert.equal(second.types, 'PBESDS')
})

test('so does a Describe', (t) => {
  const { plane, ada, eve } = open(t, 2)
  say(ada, parse('a', 'select 1'), sync())
  plane.shard.onQuery = (backend) => backend.ready(STATUS.inTransaction)
  eve.query('begin')
  assert.equal(say(ada, describe('S', 'a'), sync()), 'n Z I')
  assert.equal(backendOf(plane, 1).types, 'PDS')
})

test('the unnamed statement of another session is neither bound nor in the way', (t) => {
  const { plane, ada, eve } = open(t)
  say(ada, parse('', 'select 1'), bind(''), execute(), sync())
  say(eve, parse('', 'select 2'), bind(''), execute(), sync())
  const backend = backendOf(plane)
  takeStatements(backend)
  for (const [text, expected] of [
    ['2 C Z I', ['+ select 1']],
    ['2 C Z I', []],
  ] as const) {
    assert.equal(say(ada, bind(''), execute(), sync()), text)
    assert.deepEqual(takeStatements(backend), expected)
  }
  const bob = plane.connect().login('ada')
  for (const expected of [['-'], []]) {
    // This shard binds what is not there.
    assert.equal(say(bob, bind(''), sync()), '2 Z I')
    assert.deepEqual(takeStatements(backend), expected, 'who has none finds none')
  }
  assert.equal(say(ada, bind(''), sync()), '2 Z I')
  assert.deepEqual(takeStatements(backend), ['+ select 1'], 'nor is it there any more')
})

test('a client that closes its own unnamed statement leaves none to others, nor to itself', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('', 'select 1'), closeStatement(''), sync())
  const backend = backendOf(plane)
  assert.deepEqual(takeStatements(backend), ['+ select 1', '-'])
  say(ada, bind(''), sync())
  assert.deepEqual(takeStatements(backend), [], 'the server says that there is none')
})

test('the statement that was used least recently makes room, and comes back when it is wanted', (t) => {
  const { plane, ada } = open(t)
  for (let index = 0; index < 10; index++) say(ada, parse(`s${index}`, `select ${index}`), sync())
  const backend = backendOf(plane)
  const names = takeStatements(backend).map((each) => each.slice(1).split(' ')[0])
  say(ada, bind('s0'), sync())
  assert.equal(say(ada, parse('s10', 'select 10'), sync()), '1 Z I')
  assert.deepEqual(takeStatements(backend)[0], `-${names[1]}`)
  assert.equal(say(ada, bind('s1'), sync()), '2 Z I')
  assert.deepEqual(takeStatements(backend), [`-${names[2]}`, `+${names[1]} select 1`])
})

test('a name that is taken is for the server to refuse, on which nothing of it stays', (t) => {
  const { plane, ada, eve } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  const backend = backendOf(plane)
  takeStatements(backend)
  // This shard refuses nothing, so that the last of these is answered.
  assert.equal(say(ada, parse('a', 'select 2'), sync()), '1 Z I')
  assert.deepEqual(takeStatements(backend), ['+a ', '+a select 2'])
  assert.deepEqual(backend.queries, ['DISCARD ALL'], 'what belongs to nobody is gone before somebody else comes')
  plane.shard.onQuery = (each) => each.ready(STATUS.inTransaction)
  eve.query('begin')
  assert.equal(backendOf(plane), backend)
})

test('nor does anything stay where a Close of that name is sent behind it, which an error may skip', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  say(ada, parse('a', 'select 2'), closeStatement('a'), sync())
  assert.deepEqual(backendOf(plane).queries, ['DISCARD ALL'])
})

test('what such a Parse leaves on the server is found by nobody', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  const backend = backendOf(plane)
  takeStatements(backend)
  const pipeline = [parse('a', 'select 2'), closeStatement('a'), bind('a'), bind('a'), sync()]
  assert.equal(say(ada, ...pipeline), '1 3 2 2 Z I')
  assert.deepEqual(takeStatements(backend), ['+a ', '+a select 2', '-a'])
})

test('a statement that somebody else has prepared is prepared again where an error may have come before', (t) => {
  const { plane, ada, eve } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  const backend = backendOf(plane)
  const [prepared] = takeStatements(backend)
  assert.equal(say(eve, parse('e', 'select 2'), sync(), parse('f', 'select 1'), sync()), '1 Z I 1 Z I')
  const [name] = prepared?.slice(1).split(' ') ?? []
  assert.deepEqual(takeStatements(backend).slice(1), [`-${name}`, prepared])
})

test('what a statement does is known when it is bound', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('l', 'select pg_advisory_lock(1)'), sync())
  const pins = (): number => plane.shared.clients.i32[CLIENT.pins] ?? 0
  assert.equal(pins(), 0)
  say(ada, bind('l'), execute(), sync())
  assert.equal(pins(), PIN.advisoryLock)
})

test('a plan that does not fit any more is made anew when the statement is prepared again', (t) => {
  const { plane, ada, eve } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  const backend = backendOf(plane)
  const [prepared] = takeStatements(backend)
  plane.shard.preparesAtOnce = false
  ada.send(Buffer.concat([bind('a'), sync()]))
  backend.fail({ severity: 'ERROR', sqlstate: '0A000', message: 'cached plan must not change result type' })
  backend.ready()
  plane.settle()
  assert.equal(ada.told().join(' '), 'E ERROR 0A000 Z I')
  plane.shard.preparesAtOnce = true
  say(eve, parse('e', 'select 1'), sync())
  const [again] = takeStatements(backend)
  assert.match(again ?? '', /select 1$/)
  assert.notEqual(again, prepared)
})

test('a statement that is closed stays on the server for others, but its client has it no more', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('a', 'select 1'), sync())
  const backend = backendOf(plane)
  takeStatements(backend)
  assert.equal(say(ada, closeStatement('a'), sync()), '3 Z I')
  assert.deepEqual(takeStatements(backend), [])
  const before = backend.types.length
  assert.equal(say(ada, bind('a'), sync()), '2 Z I')
  assert.equal(backend.types.slice(before), 'BS', 'under the name that it has')
  assert.deepEqual(takeStatements(backend), [])
})

for (const [what, type] of [
  ['Describe', FRONTEND.describe],
  ['Close', FRONTEND.close],
] as const) {
  test(`a ${what} without the end of its name is no message`, (t) => {
    const { ada } = open(t)
    assert.equal(say(ada, message(type, [0x53, 0x61])), 'E FATAL 08P01')
    assert.equal(ada.ended, true)
  })
}

test('what a name means is not known before what may be skipped is answered', (t) => {
  const { plane, ada } = open(t)
  plane.shard.preparesAtOnce = false
  ada.send(Buffer.concat([parse('a', 'select 1'), sync(), bind('a'), execute(), sync()]))
  const backend = backendOf(plane)
  assert.equal(backend.types, 'PSH', 'the server is made to answer')
  plane.shard.preparesAtOnce = true
  backend.send(Buffer.from('1\0\0\0\x04', 'latin1'))
  backend.ready()
  plane.settle()
  assert.equal(backend.types, 'PSHBES')
  assert.equal(ada.told().join(' '), '1 Z I 2 C Z I')
})

test('a Describe waits likewise, but none of another name', (t) => {
  const { plane, ada } = open(t)
  say(ada, parse('b', 'select 2'), sync())
  const backend = backendOf(plane)
  const before = backend.types.length
  plane.shard.preparesAtOnce = false
  ada.send(Buffer.concat([parse('a', 'select 1'), sync(), describe('S', 'b'), describe('S', 'a'), sync()]))
  assert.equal(backend.types.slice(before), 'PSDH')
  backend.send(Buffer.from('1\0\0\0\x04', 'latin1'))
  backend.ready()
  plane.settle()
  assert.equal(backend.types.slice(before), 'PSDHDS')
})

test('so does an EXECUTE in SQL, but none among others', (t) => {
  const { plane, ada } = open(t)
  plane.shard.preparesAtOnce = false
  plane.shard.onQuery = () => {}
  ada.send(Buffer.concat([parse('a', 'select 1'), sync(), query('execute a')]))
  const backend = backendOf(plane)
  assert.equal(backend.types, 'PSH')
  backend.send(Buffer.from('1\0\0\0\x04', 'latin1'))
  backend.ready()
  plane.settle()
  assert.match(backend.queries.join(), /^execute "?switchyard_/i)
})

test('within one part of a pipeline nobody waits: an error would skip the rest too', (t) => {
  const { plane, ada } = open(t)
  plane.shard.preparesAtOnce = false
  ada.send(Buffer.concat([parse('a', 'select 1'), bind('a'), execute(), sync()]))
  assert.equal(backendOf(plane).types, 'PBES')
})
