import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { syncBuiltinESMExports } from 'node:module'
import { type TestContext, test } from 'node:test'
import { LoginShapes, mockAccount } from '../auth/mock-account.ts'
import { buildScramVerifier } from '../auth/scram-verifier.ts'
import { AUTHENTICATION, HEADER_BYTES } from '../protocol/message-type.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'
import {
  answer,
  asked,
  authentication,
  int32,
  nobody,
  withBoth,
  withMd5,
  withPassword,
  withScram,
} from './authentication.fixture.ts'
import type { AuthenticationVerdict } from './authentication.ts'

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
