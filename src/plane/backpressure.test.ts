import assert from 'node:assert/strict'
import { test } from 'node:test'
import { closeStatement, parse, sync } from '../protocol/client-messages.fixture.ts'
import { openPlane } from './plane.fixture.ts'

const ROUNDS = 400
const LONG = 'x'.repeat(30_000)

test('of a client that sends and does not read no more is read than there is room for, and nothing is lost', (t) => {
  const plane = openPlane(t)
  plane.shard.preparesAtOnce = true
  const client = plane.connect().login()
  const texts = Array.from({ length: ROUNDS }, (_, round) => `SELECT ${round}, '${LONG}'`)
  const all = Buffer.concat(
    texts.map((text) => Buffer.concat([parse('mine', text), sync(), closeStatement('mine'), sync()])),
  )
  let sent = 0
  /** Returns whether the router took some of it. */
  const sendOn = (): boolean => {
    const taken = client.peer.send(all.subarray(sent, sent + 20_000))
    plane.settle()
    if (taken <= 0) return false
    sent += taken
    return true
  }
  while (sent < all.length && sendOn());
  assert.ok(sent < all.length, 'its answers fill no buffers')
  let answers = 0
  for (let quiet = 0; quiet < 3 && answers < 2 * ROUNDS; ) {
    const told = client.told().filter((message) => message === 'Z I').length
    answers += told
    quiet = told === 0 && !(sent < all.length && sendOn()) ? quiet + 1 : 0
    plane.settle()
  }
  assert.equal(answers, 2 * ROUNDS)
  const prepared = plane.shard.backends.flatMap(({ statements }) => statements).filter((what) => what.startsWith('+'))
  assert.deepEqual(
    prepared.map((what) => what.slice(what.indexOf('SELECT'))),
    texts,
  )
})
