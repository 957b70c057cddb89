import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FATAL, notify, openListener } from './notification-listener.fixture.ts'

test('logs in as the session it is for, listens, and delivers to those who asked', (t) => {
  const { host, shard, listener, subscriber, backend, asked, counts } = openListener(t)
  const [one, two] = [subscriber(), subscriber()]
  listener.subscribe('a', one)
  listener.subscribe('B "x"', two)
  listener.sync(one)
  host.settle()
  assert.deepEqual(Object.fromEntries(backend().parameters), {
    user: 'ada',
    database: 'shop',
    application_name: 'switchyard listener',
    client_encoding: 'UTF8',
  })
  assert.deepEqual(asked(), ['LISTEN "a";LISTEN "B ""x"""'])
  assert.deepEqual([one.story, two.story], [['synced'], []])
  notify(backend(), 'a', '1')
  notify(backend(), 'B "x"', '2')
  notify(backend(), 'other', '3')
  host.settle()
  assert.deepEqual([one.story.slice(1), two.story], [['a 1'], ['B "x" 2']])
  assert.deepEqual(Object.fromEntries(counts), { notifications: 3, notificationDeliveries: 2 })
  assert.equal(shard.backends.length, 1)
})

test('asks one question at a time, and whatever came up meanwhile is in the next', (t) => {
  const { host, shard, listener, subscriber, backend, asked } = openListener(t)
  const [one, two] = [subscriber(), subscriber()]
  listener.subscribe('a', one)
  listener.sync(one)
  host.settle()
  asked()
  const { onQuery } = shard
  shard.onQuery = () => {}
  listener.sync(one)
  host.settle()
  listener.sync(two)
  listener.subscribe('b', two)
  listener.unsubscribe('a', one)
  host.settle()
  assert.deepEqual(asked(), [''])
  assert.deepEqual([one.story, two.story], [['synced'], []])
  notify(backend(), 'b', 'early')
  shard.onQuery = onQuery
  backend().ready()
  host.settle()
  assert.deepEqual(asked(), ['LISTEN "b";UNLISTEN "a"'])
  assert.deepEqual(
    [one.story, two.story],
    [
      ['synced', 'synced'],
      ['b early', 'synced'],
    ],
  )
})

test('what is on its way before the answer is delivered before it', (t) => {
  const { host, shard, listener, subscriber } = openListener(t)
  const one = subscriber()
  shard.onQuery = (server) => {
    notify(server, 'a', 'x')
    server.ready()
  }
  listener.subscribe('a', one)
  listener.sync(one)
  host.settle()
  assert.deepEqual(one.story, ['a x', 'synced'])
})

test('a connection that breaks is made again, and everybody is told of the gap', (t) => {
  const { host, shard, listener, subscriber, backend, asked, counts } = openListener(t)
  const one = subscriber()
  listener.subscribe('a', one)
  host.settle()
  host.pass(5000)
  shard.stopListening()
  backend().close()
  host.settle()
  assert.equal(listener.isListening, false)
  host.pass(3000)
  host.settle()
  shard.listenAgain()
  host.pass(1000)
  host.settle()
  assert.deepEqual(asked(), ['LISTEN "a"'])
  assert.deepEqual(one.story, ['gap 4000'])
  assert.equal(counts.get('listenersLost'), 1)
  assert.match(host.logged.join(), /listening connection lost: the server closed the connection/)
})

test('who waits for an answer that is lost is told, and waits for the next connection', (t) => {
  const { host, shard, listener, subscriber, backend } = openListener(t)
  const one = subscriber()
  one.listener = listener
  listener.subscribe('a', one)
  host.settle()
  host.pass(5000)
  const { onQuery } = shard
  shard.onQuery = () => {}
  listener.sync(one)
  host.settle()
  shard.onQuery = onQuery
  backend().close()
  host.settle()
  assert.deepEqual(one.story, ['lost', 'gap 0', 'synced'])
})

test('nobody waits for a login that is refused for good', (t) => {
  const { host, shard, listener, subscriber } = openListener(t)
  const one = subscriber()
  one.listener = listener
  shard.behaviour = { kind: 'refuse', fields: FATAL('53300') }
  listener.subscribe('a', one)
  listener.sync(one)
  host.settle()
  assert.deepEqual(one.story, ['failed 53300'])
  // It is tried again for those who stay.
  shard.behaviour = { kind: 'serve' }
  host.pass(1000)
  host.settle()
  assert.equal(listener.isListening, true)
})

test('a server that is away is waited for, but not for ever', (t) => {
  const { host, shard, listener, subscriber } = openListener(t)
  const one = subscriber()
  one.listener = listener
  shard.stopListening()
  listener.subscribe('a', one)
  listener.sync(one)
  host.settle()
  for (let attempt = 0; attempt < 3; attempt += 1) {
    assert.equal(one.story.includes('failed 08001'), false)
    host.pass(1000)
    host.settle()
  }
  assert.equal(one.story.at(-1), 'failed 08001')
})

test('where one user is refused another one is tried', (t) => {
  const { host, shard, pool, listener, subscriber } = openListener(t)
  const [one, two] = [subscriber(), subscriber()]
  two.pool = { paused: false, record: 0, target: { ...pool.target, user: 'bob' } }
  shard.behaviour = { kind: 'refuse', fields: FATAL('28000') }
  listener.subscribe('a', one)
  listener.subscribe('a', two)
  host.settle()
  shard.behaviour = { kind: 'serve' }
  host.pass(100)
  host.settle()
  assert.deepEqual(
    shard.backends.map(({ parameters }) => parameters.get('user')),
    ['ada', 'bob'],
  )
  assert.equal(listener.isListening, true)
})

test('a server that will not listen is not asked without end', (t) => {
  const { host, shard, listener, subscriber } = openListener(t)
  const one = subscriber()
  shard.onQuery = (server) => {
    server.fail({ severity: 'ERROR', sqlstate: '25006', message: 'cannot execute LISTEN during recovery' })
    server.ready()
  }
  listener.subscribe('a', one)
  host.settle()
  host.pass(500)
  host.settle()
  assert.equal(shard.backends.length, 1)
  host.pass(500)
  host.settle()
  assert.equal(shard.backends.length, 2)
})

test('moves with the primary', (t) => {
  const { host, shard, pool, listener, set, subscriber, asked } = openListener(t)
  const one = subscriber()
  listener.subscribe('a', one)
  host.settle()
  asked()
  set.revise()
  host.settle()
  assert.equal(shard.backends.length, 1)
  host.pass(2000)
  one.pool = { paused: false, record: 0, target: { ...pool.target, shard: shard.value(1) } }
  set.revise()
  host.settle()
  assert.deepEqual([shard.backends.length, shard.open.length], [2, 1])
  assert.deepEqual(asked(), ['LISTEN "a"'])
})

test('without a place to go it waits until there is one', (t) => {
  const { host, shard, pool, listener, set, subscriber } = openListener(t)
  const one = subscriber()
  one.pool = null
  listener.subscribe('a', one)
  listener.sync(one)
  host.settle()
  assert.equal(shard.backends.length, 0)
  one.pool = pool
  set.revise()
  host.settle()
  assert.deepEqual(one.story, ['synced'])
})

test('PAUSE lets the connection go, RESUME brings it back', (t) => {
  const { host, shard, pool, listener, set, subscriber, backend } = openListener(t)
  const one = subscriber()
  listener.subscribe('a', one)
  host.settle()
  host.pass(2000)
  const first = backend()
  pool.pause()
  set.revise()
  host.pass(1000)
  host.settle()
  assert.deepEqual([first.terminated, shard.open.length], [true, 0])
  pool.resume()
  set.revise()
  host.settle()
  assert.deepEqual(one.story, ['gap 1000'])
})

test('a connection that has been silent for long is asked whether it is alive', (t) => {
  const { host, shard, listener, subscriber, asked, maintain } = openListener(t)
  host.timeouts = { ...host.timeouts, serverConnectMs: 5000 }
  const one = subscriber()
  listener.subscribe('a', one)
  host.settle()
  asked()
  maintain(29)
  assert.deepEqual(asked(), [])
  maintain(1)
  assert.deepEqual(asked(), [''])
  shard.onQuery = () => {}
  maintain(36)
  assert.match(host.logged.join(), /no answer from the shard while listening/)
})

test('goes when nobody listens any more, politely', (t) => {
  const { host, shard, listener, set, pool, subscriber, asked, backend, maintain } = openListener(t)
  const one = subscriber()
  listener.subscribe('a', one)
  host.settle()
  asked()
  listener.unsubscribe('a', one)
  host.settle()
  assert.deepEqual(asked(), ['UNLISTEN "a"'])
  const last = backend()
  maintain(1)
  assert.deepEqual([last.terminated, shard.open.length, listener.isOver], [true, 0, true])
  assert.notEqual(set.for(pool, 'UTF8'), listener)
  assert.deepEqual(one.story, [])
})

test('who has left is not called back', (t) => {
  const { host, listener, subscriber } = openListener(t)
  const one = subscriber()
  listener.subscribe('a', one)
  listener.sync(one)
  listener.forget(one)
  host.settle()
  assert.deepEqual(one.story, [])
})
