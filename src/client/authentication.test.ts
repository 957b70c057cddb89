import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { md5Response } from '../auth/md5.ts'
import { ScramClient } from '../auth/scram-client.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'
import {
  answer,
  asked,
  authentication,
  certificateHash,
  cleartext,
  credentialOf,
  int32,
  md5,
  md5Verifier,
  nobody,
  reasonOf,
  scram,
  scramVerifier,
  withBoth,
  withMd5,
  withPassword,
  withScram,
} from './authentication.fixture.ts'
import type { Authentication, AuthenticationVerdict } from './authentication.ts'

type Exchange = (exchange: Authentication, secret: string) => AuthenticationVerdict
const ways: readonly (readonly [string, Exclude<HbaMethod, 'reject'>, UserValue, Exchange])[] = [
  ['SCRAM with a verifier', 'scram-sha-256', withScram, scram],
  ['cleartext with a password', 'password', withPassword, cleartext],
  ['cleartext with a SCRAM verifier', 'password', withScram, cleartext],
  ['cleartext with an MD5 verifier', 'password', withMd5, cleartext],
  ['MD5 with an MD5 verifier', 'md5', withMd5, md5],
  ['MD5 with a password', 'md5', withPassword, md5],
  ['MD5 with a SCRAM verifier, which means SCRAM', 'md5', withScram, scram],
]

for (const [title, method, user, exchange] of ways) {
  test(`${title}: the right password gets in`, () => {
    assert.equal(exchange(authentication(method, user), 'secret').kind, 'done')
  })

  test(`${title}: a wrong password and an empty one do not`, () => {
    assert.equal(exchange(authentication(method, user), 'Secret').kind, 'failed')
    assert.equal(exchange(authentication(method, user), '').kind, 'failed')
  })
}

test('SCRAM binds to the channel where there is one, and refuses another channel', () => {
  const channelBinding = certificateHash
  const context = { channelBinding }
  assert.equal(scram(authentication('scram-sha-256', withScram, context), 'secret', channelBinding).kind, 'done')
  const elsewhere = scram(authentication('scram-sha-256', withScram, context), 'secret', Buffer.alloc(32, 8))
  assert.match(reasonOf(elsewhere), /channel binding check failed/)
})

test('a user that does not exist or has no secret fails whatever is sent', () => {
  for (const user of [null, nobody]) {
    for (const secret of ['secret', '']) {
      assert.equal(scram(authentication('scram-sha-256', user), secret).kind, 'failed')
      assert.equal(scram(authentication('md5', user), secret).kind, 'failed')
      assert.equal(cleartext(authentication('password', user), secret).kind, 'failed')
    }
  }
})

test('trust asks nothing, and leaves nothing to log in to shards with but what is configured', () => {
  const none = { scram: null, password: null, md5Hash: null }
  assert.deepEqual(authentication('trust', null).start(), { kind: 'done', bytes: null, credential: none })
  assert.equal(credentialOf(authentication('trust', withPassword).start()).password, 'secret')
})

test('a certificate lets in whom it names, and nobody else', () => {
  assert.equal(authentication('cert', null, { certificateName: 'ada' }).start().kind, 'done')
  const other = authentication('cert', withPassword, { certificateName: 'Ada' }).start()
  assert.deepEqual(other, { kind: 'failed', reason: 'the client certificate is for "Ada"' })
  assert.equal(authentication('cert', withPassword, { certificateName: null }).start().kind, 'failed')
})

test('what a login leaves behind logs in to shards: keys, the password typed, or the stored hash', () => {
  const keys = credentialOf(scram(authentication('scram-sha-256', withScram), 'secret'))
  assert.ok(keys.scram?.kind === 'keys')
  assert.equal(keys.scram.serverKey.toString('base64'), scramVerifier.serverKey)
  assert.equal(keys.password, null)
  const typed = credentialOf(cleartext(authentication('password', withScram), 'secret'))
  assert.deepEqual(typed, { scram: { kind: 'password', password: 'secret' }, password: 'secret', md5Hash: null })
  const hash = credentialOf(md5(authentication('md5', withMd5), 'secret'))
  assert.deepEqual(hash, { scram: null, password: null, md5Hash: md5Verifier.hash })
})

test('the keys that pass through are the ones that a shard with the same verifier accepts', () => {
  const keys = credentialOf(scram(authentication('scram-sha-256', withScram), 'secret')).scram
  assert.ok(keys?.kind === 'keys')
  const client = new ScramClient({
    credential: keys,
    clientNonce: 'another',
    offered: ['SCRAM-SHA-256'],
    channelBinding: null,
    keyCache: new ScramKeyCache(1),
  })
  const first = client.first()
  assert.ok(first.kind === 'continue')
  const shard = authentication('scram-sha-256', withScram)
  shard.start()
  const challenge = asked(answer(shard, 'SCRAM-SHA-256\0', int32(first.data.length), first.data))
  const proof = client.final(challenge.data)
  assert.ok(proof.kind === 'continue')
  assert.equal(answer(shard, proof.data).kind, 'done')
})

test('a configured password is preferred to what the login left behind', () => {
  const credential = credentialOf(scram(authentication('scram-sha-256', withBoth), 'secret'))
  assert.deepEqual(credential.scram, { kind: 'password', password: 'secret' })
})

test('an MD5 answer is good for its salt only', () => {
  const exchange = authentication('md5', withMd5)
  exchange.start()
  const replayed = md5Response({ kind: 'password', password: 'secret' }, 'ada', Buffer.alloc(4, 6))
  assert.equal(answer(exchange, `${replayed}\0`).kind, 'failed')
})

const first = 'n,,n=,r=ab'
const malformed: readonly (readonly [string, Exclude<HbaMethod, 'reject'>, readonly (string | Buffer)[]])[] = [
  ['a password without its end', 'password', ['secret']],
  ['no password at all', 'password', []],
  ['an MD5 answer without its end', 'md5', ['md5']],
  ['a mechanism without its end', 'scram-sha-256', ['SCRAM-SHA-256']],
  ['a mechanism without a length', 'scram-sha-256', ['SCRAM-SHA-256\0', Buffer.alloc(3)]],
  ['a length beyond the message', 'scram-sha-256', ['SCRAM-SHA-256\0', int32(first.length + 1), first]],
  ['the largest length', 'scram-sha-256', ['SCRAM-SHA-256\0', int32(0x7fffffff), first]],
  ['no initial response', 'scram-sha-256', ['SCRAM-SHA-256\0', int32(-1)]],
  ['a mechanism that was not offered', 'scram-sha-256', ['SCRAM-SHA-256-PLUS\0', int32(first.length), first]],
  ['a password where SASL is due', 'scram-sha-256', ['secret\0']],
]
for (const [title, method, parts] of malformed) {
  test(`malformed: ${title} fails the login`, () => {
    const exchange = authentication(method, method === 'md5' ? withMd5 : withScram)
    exchange.start()
    assert.equal(answer(exchange, ...parts).kind, 'failed')
  })
}

test('arbitrary answers fail or are asked further, never an exception, and never a way in', () => {
  const bytes = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 3 })
  const method = fc.constantFrom('password' as const, 'md5' as const, 'scram-sha-256' as const)
  fc.assert(
    fc.property(method, bytes, (one, answers) => {
      const exchange = authentication(one, withMd5)
      exchange.start()
      for (const body of answers) assert.notEqual(answer(exchange, Buffer.from(body)).kind, 'done')
    }),
  )
})
