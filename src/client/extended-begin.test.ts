import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { CLIENT } from '../memory/client-slots.ts'
import { openPlane, type TestClient, type TestPlane } from '../plane/plane.fixture.ts'
import { bind, describe, execute, message, parse, sync } from '../protocol/client-messages.fixture.ts'
import { FRONTEND, STATUS } from '../protocol/message-type.ts'

/** A client whose BEGIN is put off, and how many messages the shard has got since the login. */
function open(t: TestContext) {
  const plane = openPlane(t, {}, 1)
  plane.shard.preparesAtOnce = true
  const { values } = plane.plane
  const { policy } = values
  plane.plane.setValues({
    ...values,
    version: values.version + 1,
    policy: { ...policy, routing: { ...policy.routing, defersBegin: true } },
  })
  const client = plane.connect().login()
  return { plane, client, asked: () => askedOf(plane) }
}

const askedOf = ({ shard }: TestPlane): string => shard.backends.map(({ types }) => types).join('')

function say(client: TestClient, ...messages: readonly Buffer[]): string {
  client.send(Buffer.concat(messages))
  return client.told().join(' ')
}

test('BEGIN in an extended query is answered without a server, and sent ahead of the first statement', (t) => {
  const { plane, client, asked } = open(t)
  assert.equal(say(client, parse('', 'begin'), bind(''), describe('P', ''), execute(), sync()), '1 2 n C Z T')
  assert.equal(asked(), '')
  assert.equal(plane.shared.clients.i32[CLIENT.transactionStatus], STATUS.inTransaction)
  say(client, parse('', 'select 1'), bind(''), execute(), sync())
  assert.deepEqual([asked(), plane.shard.open[0]?.queries], ['QPBES', ['begin']])
})

test('so is one that was prepared, and its end', (t) => {
  const { client, asked } = open(t)
  assert.equal(say(client, parse('b', 'begin'), describe('S', 'b'), bind('b'), execute(), sync()), '1 t n 2 C Z T')
  assert.equal(say(client, parse('', 'commit'), bind(''), execute(), sync()), '1 2 C Z I')
  assert.equal(say(client, bind('b'), execute(), sync()), '2 C Z T', 'the statement is there although no server has it')
  assert.equal(asked(), '')
})

test('messages that come one by one are answered when the Execute is there', (t) => {
  const { client, asked } = open(t)
  assert.equal(say(client, parse('', 'begin')), '')
  assert.equal(say(client, bind('').subarray(0, 9)), '')
  assert.equal(say(client, bind('').subarray(9)), '')
  assert.equal(say(client, execute().subarray(0, 7)), '')
  assert.equal(say(client, execute().subarray(7)), '1 2 C')
  assert.equal(say(client, sync()), 'Z T')
  assert.equal(asked(), '')
})

const OTHERS: Readonly<Record<string, readonly Buffer[]>> = {
  'a statement prepared and not executed': [parse('', 'begin'), sync()],
  'one with parameters': [message(FRONTEND.parse, '', 'begin', [0, 1, 0, 0, 0, 0]), bind(''), execute(), sync()],
  'another portal': [parse('', 'begin'), message(FRONTEND.bind, 'p', '', [0, 0, 0, 0, 0, 0]), execute(), sync()],
  'the execution of another portal': [
    parse('', 'begin'),
    bind(''),
    message(FRONTEND.execute, 'p', [0, 0, 0, 0]),
    sync(),
  ],
  'the Bind of another statement': [parse('', 'begin'), bind('other'), execute(), sync()],
  'a description of another statement': [parse('', 'begin'), describe('S', 'other'), bind(''), execute(), sync()],
  'a description of a portal that is not there yet': [
    parse('', 'begin'),
    describe('P', ''),
    bind(''),
    execute(),
    sync(),
  ],
  'two statements in a row': [parse('', 'begin'), parse('', 'begin'), bind(''), execute(), sync()],
  'two Binds': [parse('', 'begin'), bind(''), bind(''), execute(), sync()],
  'an Execute without a Bind': [parse('', 'begin'), execute(), sync()],
  'a portal that is executed again': [parse('', 'begin'), bind(''), execute(), execute(), sync()],
  'a portal that is described behind its Execute': [parse('', 'begin'), bind(''), execute(), describe('P', ''), sync()],
  'a text that does more': [parse('', 'begin; select 1'), bind(''), execute(), sync()],
}
for (const [what, messages] of Object.entries(OTHERS)) {
  test(`${what} is for the server, as it is`, (t) => {
    const { client, asked } = open(t)
    client.send(Buffer.concat(messages))
    const types = messages.map((bytes) => String.fromCharCode(bytes[0] as number)).join('')
    assert.equal(asked(), types)
  })
}

test('a name that is taken is for the server to refuse', (t) => {
  const { client, asked } = open(t)
  say(client, parse('b', 'begin'), bind('b'), execute(), sync())
  say(client, parse('', 'rollback'), bind(''), execute(), sync())
  assert.equal(asked(), '')
  client.send(Buffer.concat([parse('b', 'begin'), bind('b'), execute(), sync()]))
  // The query forgets what the refused Parse has left there.
  assert.match(asked(), /P.*B.*ESQ$/)
})

test('a Bind without the end of its names is no message', (t) => {
  const { client } = open(t)
  say(client, parse('b', 'begin'), bind('b'), execute(), sync(), parse('', 'commit'), bind(''), execute(), sync())
  assert.equal(say(client, message(FRONTEND.bind, [0x62])), 'E FATAL 08P01')
})
