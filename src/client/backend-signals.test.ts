import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openPlane } from '../plane/plane.fixture.ts'
import { routerAnswer } from './router-answers.ts'

test('a signal by process id is for clients of the same user, and no cancel for oneself', (t) => {
  const bench = openPlane(t, {}, 2)
  const { plane } = bench
  const [asking, alike, stranger] = ['ada', 'ada', 'bob'].map((user, slot) => {
    bench.connect().login(user)
    const session = plane.sessions.at(slot)
    assert.ok(session)
    return session
  })
  assert.ok(asking && alike && stranger)
  const ask = (sql: string): string | null => {
    const text = Buffer.from(sql)
    return routerAnswer(plane, asking.slot, text, 0, text.length)
  }
  assert.equal(ask(`select pg_cancel_backend(${alike.memory.processId})`), 'SELECT true AS pg_cancel_backend')
  assert.equal(ask(`select pg_cancel_backend(${alike.memory.processId}) as x`), null)
  assert.equal(ask(`select pg_cancel_backend(${asking.memory.processId})`), null)
  assert.equal(ask(`select pg_terminate_backend(${stranger.memory.processId})`), null)
  assert.equal(ask('select pg_terminate_backend(2000000000)'), null)
  assert.deepEqual([alike.state, stranger.state], ['idle', 'idle'])
  const asked = ask(`SELECT pg_catalog.PG_TERMINATE_BACKEND ( ${alike.memory.processId} ) ; `)
  assert.equal(asked, 'SELECT true AS pg_terminate_backend')
  assert.deepEqual([alike.state, stranger.state], ['closing', 'idle'])
})
