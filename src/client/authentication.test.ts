import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { buildMd5Verifier, md5Response } from '../auth/md5.ts'
import { LoginShapes, mockAccount } from '../auth/mock-account.ts'
import { ScramClient } from '../auth/scram-client.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import { buildScramVerifier } from '../auth/scram-verifier.ts'
import { AUTHENTICATION, BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { MessageReader } from '../protocol/reader.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'
import { Authentication, type AuthenticationContext, type AuthenticationVerdict } from './authentication.ts'

const scramVerifier = buildScramVerifier('secret', Buffer.alloc(16, 7), 4096)
const md5Verifier = buildMd5Verifier('secret', 'ada')
const certificateHash = Buffer.alloc(32, 9)

const nobody: UserValue = {
  name: 'ada',
  verifier: null,
  password: null,
  console: 'none',
  poolMode: null,
  poolSize: null,
  maxClients: null,
}
const withScram: UserValue = { ...nobody, verifier: scramVerifier }
const withMd5: UserValue = { ...nobody, verifier: md5Verifier }
const withPassword: UserValue = { ...nobody, password: 'secret' }
const withBoth: UserValue = { ...nobody, verifier: scramVerifier, password: 'secret' }

function authentication(
  method: Exclude<HbaMethod, 'reject'>,
  user: UserValue | null,
  context: Partial<AuthenticationContext> = {},
): Authentication {
  return new Authentication({
    method,
    userName: 'ada',
    user,
    mock: mockAccount('ada', Buffer.alloc(32, 1), new LoginShapes()),
    channelBinding: null,
    certificateName: null,
    randomBytes: (count) => Buffer.alloc(count, 5),
    ...context,
  })
}

/** The request that an authentication message makes, and what belongs to it. */
function asked(verdict: AuthenticationVerdict): { request: number; data: Buffer } {
  assert.ok(verdict.kind === 'send', JSON.stringify(verdict))
  assert.equal(verdict.bytes[0], BACKEND.authentication)
  assert.equal(verdict.bytes.readInt32BE(1) + 1, verdict.bytes.length)
  const reader = new MessageReader(verdict.bytes, HEADER_BYTES, verdict.bytes.length)
  return { request: reader.int32(), data: Buffer.from(reader.raw(reader.remaining)) }
}

/** The client's message among bytes of others. */
function answer(exchange: Authentication, ...parts: readonly (string | Buffer)[]): AuthenticationVerdict {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const bytes = Buffer.concat([Buffer.from('before'), body, Buffer.from('behind\0')])
  return exchange.answer(bytes, 6, 6 + body.length)
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A whole SCRAM exchange; `secret` is what the client believes. */
function scram(exchange: Authentication, secret: string, binding: Buffer | null = null): AuthenticationVerdict {
  const { request, data } = asked(exchange.start())
  assert.equal(request, AUTHENTICATION.sasl)
  const client = new ScramClient({
    credential: { kind: 'password', password: secret },
    clientNonce: 'nonce',
    offered: data.toString().split('\0').filter(Boolean),
    channelBinding: binding,
    keyCache: new ScramKeyCache(1),
  })
  const first = client.first()
  assert.ok(first.kind === 'continue')
  const challenge = answer(exchange, `${client.mechanism}\0`, int32(first.data.length), first.data)
  const next = asked(challenge)
  assert.equal(next.request, AUTHENTICATION.saslContinue)
  const proof = client.final(next.data)
  assert.ok(proof.kind === 'continue')
  const verdict = answer(exchange, proof.data)
  if (verdict.kind === 'done') {
    const final = asked({ kind: 'send', bytes: verdict.bytes ?? Buffer.alloc(0) })
    assert.equal(final.request, AUTHENTICATION.saslFinal)
    assert.deepEqual(client.verify(final.data), { kind: 'done' })
  }
  return verdict
}

function cleartext(exchange: Authentication, secret: string): AuthenticationVerdict {
  assert.deepEqual(asked(exchange.start()), { request: AUTHENTICATION.cleartext, data: Buffer.alloc(0) })
  return answer(exchange, `${secret}\0`)
}

function md5(exchange: Authentication, secret: string): AuthenticationVerdict {
  const { request, data } = asked(exchange.start())
  assert.equal(request, AUTHENTICATION.md5)
  assert.equal(data.length, 4)
  return answer(exchange, `${md5Response({ kind: 'password', password: secret }, 'ada', data)}\0`)
}

function credentialOf(verdict: AuthenticationVerdict) {
  assert.ok(verdict.kind === 'done', JSON.stringify(verdict))
  return verdict.credential
}

const reasonOf = (verdict: AuthenticationVerdict): string => (verdict.kind === 'failed' ? verdict.reason : verdict.kind)

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

/** Everything sent to a client who gives a wrong password, but for the salts, and what it cost: digests and rounds. */
function costOfFailure(
  t: TestContext,
  method: Exclude<HbaMethod, 'reject'>,
  user: UserValue | null,
  shapes: LoginShapes,
): unknown {
  const spent = { hmac: 0, hash: [] as string[], rounds: 0 }
  const { createHmac, createHash, pbkdf2Sync } = crypto
  t.mock.method(crypto, 'createHmac', (...given: Parameters<typeof createHmac>) => {
    spent.hmac++
    return createHmac(...given)
  })
  t.mock.method(crypto, 'createHash', (algorithm: string) => {
    spent.hash.push(algorithm)
    return createHash(algorithm)
  })
  t.mock.method(crypto, 'pbkdf2Sync', (...given: Parameters<typeof pbkdf2Sync>) => {
    spent.rounds += given[2]
    return pbkdf2Sync(...given)
  })
  syncBuiltinESMExports()
  try {
    const mock = mockAccount('ada', Buffer.alloc(32, 1), shapes)
    const exchange = authentication(method, user, { mock })
    const asked = exchange.start()
    assert.ok(asked.kind === 'send')
    const sent = [asked.bytes.toString('latin1')]
    let verdict: AuthenticationVerdict
    if (asked.bytes.readInt32BE(HEADER_BYTES) === AUTHENTICATION.sasl) {
      const challenge = answer(exchange, 'SCRAM-SHA-256\0', int32(10), 'n,,n=,r=ab')
      assert.ok(challenge.kind === 'send')
      sent.push(challenge.bytes.toString('latin1').replace(/s=[^,]{24},/, 's=…,'))
      const [, nonce] = /r=([^,]*),/.exec(challenge.bytes.toString('latin1')) ?? []
      verdict = answer(exchange, `c=biws,r=${nonce},p=${Buffer.alloc(32, 3).toString('base64')}`)
    } else verdict = answer(exchange, `md5${'0'.repeat(32)}\0`)
    assert.equal(verdict.kind, 'failed')
    return { sent, spent }
  } finally {
    t.mock.restoreAll()
    syncBuiltinESMExports()
  }
}

const manyRounds: UserValue = { ...nobody, verifier: buildScramVerifier('secret', Buffer.alloc(16, 7), 9000) }
for (const [title, known] of Object.entries({ withScram, withMd5, withPassword, withBoth, manyRounds })) {
  test(`an unknown user among users like ${title} is asked, and costs, what one of them with a wrong password does`, (t) => {
    const shapes = new LoginShapes()
    shapes.add(known)
    for (const method of ['scram-sha-256', 'md5', 'password'] as const) {
      // A password without a verifier is never what control sends.
      if (method === 'password' && known === withPassword) continue
      const expected = costOfFailure(t, method, known, shapes)
      assert.deepEqual(costOfFailure(t, method, null, shapes), expected, method)
      assert.deepEqual(costOfFailure(t, method, nobody, shapes), expected, method)
    }
  })
}

test('a wrong password in clear text costs PBKDF2, and so does that of an unknown user', (t) => {
  const cost = costOfFailure(t, 'password', null, new LoginShapes())
  assert.equal((cost as { spent: { rounds: number } }).spent.rounds, 4096)
})

test('an unknown user gets the same salt each time, as a known one does', () => {
  const salt = (user: string): string => {
    const mock = mockAccount(user, Buffer.alloc(32, 1), new LoginShapes())
    const exchange = authentication('scram-sha-256', null, { userName: user, mock })
    exchange.start()
    return asked(answer(exchange, 'SCRAM-SHA-256\0', int32(10), 'n,,n=,r=ab')).data.toString()
  }
  assert.equal(salt('bob'), salt('bob'))
  assert.notEqual(salt('bob'), salt('eve'))
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
