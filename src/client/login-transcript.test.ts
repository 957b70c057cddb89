import assert from 'node:assert/strict'
import { test } from 'node:test'
import { LoginTranscript } from './login-transcript.ts'

const again = (transcript: LoginTranscript): LoginTranscript => LoginTranscript.decode(transcript.encode())
const draw = (count: number): Buffer => Buffer.alloc(count, 1)

test('what was heard comes again, and what was said does not have to be said again', () => {
  const first = new LoginTranscript()
  assert.equal(first.mustSay(1), true)
  first.hear(Buffer.from('startup'))
  assert.equal(first.mustSay(20), true)
  first.hear(Buffer.from('proof'))
  const second = again(first)
  assert.equal(second.takeHeard().toString(), 'startupproof')
  assert.deepEqual([second.mustSay(1), second.mustSay(20), second.mustSay(9)], [false, false, true])
})

test('one that is repeated only in part is gone on with by the process after that', () => {
  const first = new LoginTranscript()
  first.mustSay(10)
  first.mustSay(20)
  const second = again(first)
  second.takeHeard()
  assert.equal(second.mustSay(10), false)
  second.hear(Buffer.from('all'))
  const third = again(second)
  assert.equal(third.takeHeard().toString(), 'all')
  assert.deepEqual([third.mustSay(10), third.mustSay(20), third.mustSay(1)], [false, false, true])
})

test('chance is the same again', () => {
  const first = new LoginTranscript()
  first.random(4, () => Buffer.from('salt'))
  first.random(5, () => Buffer.from('nonce'))
  const second = again(first)
  assert.equal(second.random(4, draw).toString(), 'salt')
  const third = again(second)
  assert.deepEqual([third.random(4, draw).toString(), third.random(5, draw).toString()], ['salt', 'nonce'])
  assert.deepEqual(third.random(3, draw), draw(3))
})

test('a client that may begin with TLS says nothing that comes again, and was told nothing of importance', () => {
  const first = new LoginTranscript()
  first.mustSay(1)
  first.hear(Buffer.from('GSSENCRequest'))
  const second = again(first)
  second.mustSay(1)
  second.granted()
  second.hear(Buffer.from('SSLRequest'))
  const third = again(second)
  assert.deepEqual([third.isGranted, third.certificateName], [true, null])
  assert.deepEqual([third.takeHeard().length, third.mustSay(9)], [0, true])
  third.secured(null)
  assert.equal(again(third).isGranted, false)
})

test('with TLS a login begins anew, with the name of a certificate', () => {
  const first = new LoginTranscript()
  first.hear(Buffer.from('SSLRequest'))
  first.mustSay(1)
  first.secured('ada')
  const second = again(first)
  assert.deepEqual([second.certificateName, second.takeHeard().length, second.mustSay(1)], ['ada', 0, true])
  assert.equal(again(new LoginTranscript()).certificateName, null)
})

test('what cannot have been said is an error', () => {
  const first = new LoginTranscript()
  first.mustSay(10)
  assert.throws(() => again(first).mustSay(11), /cannot be gone on with/)
})
