import assert from 'node:assert/strict'
import crypto from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createRequire, syncBuiltinESMExports } from 'node:module'
import type { TestContext } from 'node:test'
import { test } from 'node:test'
import { LoginShapes, mockAccount } from './mock-account.ts'
import type { ScramServerOptions } from './scram-server.ts'
import { maxSaslMessageBytes, offeredMechanisms, ScramServer } from './scram-server.ts'
import { buildScramVerifier } from './scram-verifier.ts'
import { tlsServerEndPoint } from './tls-server-end-point.ts'

const certificateHash = crypto.createHash('sha256').update('certificate').digest()
const verifier = buildScramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096)

function server(options: Partial<ScramServerOptions> = {}): ScramServer {
  const serverNonce = '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
  return new ScramServer({ verifier, user: 'user', serverNonce, channelBinding: null, genuine: true, ...options })
}

const exampleFirst = Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
const exampleNonce = 'rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0'
const exampleProof = 'dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='

test('the exchange of RFC 7677 comes out byte for byte, and gives the client key', () => {
  const exchange = server()
  const challenge = exchange.first('SCRAM-SHA-256', exampleFirst)
  assert.ok(challenge.kind === 'continue')
  assert.equal(challenge.data.toString(), `r=${exampleNonce},s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096`)
  const verdict = exchange.final(Buffer.from(`c=biws,r=${exampleNonce},p=${exampleProof}`))
  assert.ok(verdict.kind === 'done')
  assert.equal(verdict.data.toString(), 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
  const storedKey = crypto.createHash('sha256').update(verdict.clientKey).digest('base64')
  assert.equal(storedKey, verifier.storedKey)
})

test('PLUS is offered first, and only where there is a certificate hash to check', () => {
  assert.deepEqual(offeredMechanisms(certificateHash), ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])
  assert.deepEqual(offeredMechanisms(null), ['SCRAM-SHA-256'])
})

const plus = 'SCRAM-SHA-256-PLUS'
const plain = 'SCRAM-SHA-256'
const refusedFirst: readonly (readonly [string, boolean, string, string, RegExp, string])[] = [
  ['a mechanism that is not offered', false, plus, 'p=tls-server-end-point,,n=,r=x', /not offered/, '08P01'],
  ['an unknown mechanism', true, 'PLAIN', 'n,,n=,r=x', /"PLAIN"/, '08P01'],
  ['PLUS with flag n', true, plus, 'n,,n=,r=x', /without sending channel binding/, '08P01'],
  ['PLUS with flag y', true, plus, 'y,,n=,r=x', /without sending channel binding/, '08P01'],
  ['another binding type', true, plus, 'p=tls-unique,,n=,r=x', /"tls-unique"/, '08P01'],
  ['binding data without PLUS', true, plain, 'p=tls-server-end-point,,n=,r=x', /but sends channel binding/, '08P01'],
  ['flag y though PLUS was offered', true, plain, 'y,,n=,r=x', /may have removed it/, '28000'],
  ['an unknown flag', false, plain, 'q,,n=,r=x', /a channel-binding flag/, '08P01'],
  ['a flag without comma', false, plain, 'n=,n=,r=x', /a comma/, '08P01'],
  ['an authorization identity', false, plain, 'n,a=admin,n=,r=x', /authorization identity/, '0A000'],
  ['something in place of it', false, plain, 'n,x,n=,r=x', /the end of the GS2 header/, '08P01'],
  ['a mandatory extension', false, plain, 'n,,m=x,n=,r=x', /unsupported SCRAM extension/, '0A000'],
  ['no user name', false, plain, 'n,,r=x', /attribute "n"/, '08P01'],
  ['no nonce', false, plain, 'n,,n=', /attribute "r", found the end/, '08P01'],
  ['a nonce with a space', false, plain, 'n,,n=,r=x y', /non-printable/, '08P01'],
  ['an extension without a value', false, plain, 'n,,n=,r=x,t', /attribute "t"/, '08P01'],
  ['an extension that is no letter', false, plain, 'n,,n=,r=x,1=2', /an attribute/, '08P01'],
  ['an empty message', false, plain, '', /empty message/, '08P01'],
  ['a zero byte', false, plain, 'n,,n=,r=x\0', /zero byte/, '08P01'],
  [
    'a message that is too long',
    false,
    plain,
    `n,,n=,r=${'x'.repeat(maxSaslMessageBytes)}`,
    /the most is 1024/,
    '08P01',
  ],
]
for (const [name, tls, mechanism, message, reason, sqlstate] of refusedFirst) {
  test(`client-first-message: ${name} ends the exchange`, () => {
    const exchange = server({ channelBinding: tls ? certificateHash : null })
    const verdict = exchange.first(mechanism, Buffer.from(message))
    assert.ok(verdict.kind === 'failed')
    assert.match(verdict.reason, reason)
    assert.equal(verdict.sqlstate, sqlstate)
    assert.equal(exchange.first(plain, exampleFirst).kind, 'failed', 'and there is no second try')
  })
}

test('flag y is right where PLUS was not offered, n where it was, and extensions after the nonce are ignored', () => {
  assert.equal(server().first(plain, Buffer.from('y,,n=,r=x')).kind, 'continue')
  assert.equal(server({ channelBinding: certificateHash }).first(plain, exampleFirst).kind, 'continue')
  assert.equal(server().first(plain, Buffer.from('n,,n=,r=x,t=1,u=')).kind, 'continue')
})

const refusedFinal: readonly (readonly [string, string, RegExp, string])[] = [
  [
    'another flag than at first',
    `c=eSws,r=${exampleNonce},p=${exampleProof}`,
    /unexpected SCRAM channel-binding/,
    '08P01',
  ],
  ['a shorter nonce', `c=biws,r=${exampleNonce.slice(0, -1)},p=${exampleProof}`, /nonce mismatch/, '08P01'],
  ['another nonce', `c=biws,r=${exampleNonce.replace('r', 's')},p=${exampleProof}`, /nonce mismatch/, '08P01'],
  ['no proof', `c=biws,r=${exampleNonce}`, /an attribute, found the end/, '08P01'],
  ['a short proof', `c=biws,r=${exampleNonce},p=AAAA`, /proof in client-final-message is malformed/, '08P01'],
  ['a proof that is not base64', `c=biws,r=${exampleNonce},p=${exampleProof.replace('d', '*')}`, /malformed/, '08P01'],
  ['a proof spelled otherwise', `c=biws,r=${exampleNonce},p=${exampleProof.replace('Q=', 'R=')}`, /malformed/, '08P01'],
  ['bytes after the proof', `c=biws,r=${exampleNonce},p=${exampleProof},x=y`, /garbage at the end/, '08P01'],
  ['another proof', `c=biws,r=${exampleNonce},p=${exampleProof.replace('d', 'e')}`, /"user" is wrong/, '28P01'],
  ['an extension that is not signed', `c=biws,r=${exampleNonce},x=y,p=${exampleProof}`, /"user" is wrong/, '28P01'],
  ['an empty message', '', /empty message/, '08P01'],
]
for (const [name, message, reason, sqlstate] of refusedFinal) {
  test(`client-final-message: ${name} ends the exchange`, () => {
    const exchange = server()
    assert.equal(exchange.first(plain, exampleFirst).kind, 'continue')
    const verdict = exchange.final(Buffer.from(message))
    assert.ok(verdict.kind === 'failed')
    assert.match(verdict.reason, reason)
    assert.equal(verdict.sqlstate, sqlstate)
    const again = exchange.final(Buffer.from(`c=biws,r=${exampleNonce},p=${exampleProof}`))
    assert.ok(again.kind === 'failed', 'and there is no second try')
  })
}

test('binding data for another certificate ends the exchange with 28000', () => {
  const exchange = server({ channelBinding: certificateHash })
  assert.equal(exchange.first(plus, Buffer.from('p=tls-server-end-point,,n=,r=x')).kind, 'continue')
  const other = Buffer.concat([Buffer.from('p=tls-server-end-point,,'), Buffer.alloc(32)]).toString('base64')
  const verdict = exchange.final(Buffer.from(`c=${other},r=x${exampleNonce.slice(20)},p=${exampleProof}`))
  assert.ok(verdict.kind === 'failed')
  assert.match(verdict.reason, /another certificate/)
  assert.equal(verdict.sqlstate, '28000')
})

test('a proof before the challenge ends the exchange', () => {
  const verdict = server().final(Buffer.from(`c=biws,r=${exampleNonce},p=${exampleProof}`))
  assert.ok(verdict.kind === 'failed')
  assert.match(verdict.reason, /while initial/)
})

function digestsOfFailedLogin(t: TestContext, options: Partial<ScramServerOptions>): readonly [number, number] {
  const hmac = t.mock.method(crypto, 'createHmac')
  const hash = t.mock.method(crypto, 'createHash')
  syncBuiltinESMExports()
  const exchange = server(options)
  assert.equal(exchange.first(plain, exampleFirst).kind, 'continue')
  const verdict = exchange.final(Buffer.from(`c=biws,r=${exampleNonce},p=${exampleProof.replace('d', 'e')}`))
  assert.ok(verdict.kind === 'failed')
  const counts = [hmac.mock.callCount(), hash.mock.callCount()] as const
  t.mock.restoreAll()
  syncBuiltinESMExports()
  return counts
}

test('an unknown user costs the same digests as a wrong password', (t) => {
  const known = digestsOfFailedLogin(t, {})
  const unknown = digestsOfFailedLogin(t, {
    verifier: mockAccount('user', Buffer.alloc(32), new LoginShapes()).scram,
    genuine: false,
  })
  assert.deepEqual(known, [2, 1])
  assert.deepEqual(unknown, known)
})

interface PgSasl {
  startSession(mechanisms: readonly string[], stream: object | undefined): PgSession
  continueSession(session: PgSession, password: string, serverFirst: string, stream: object | undefined): Promise<void>
  finalizeSession(session: PgSession, serverFinal: string): void
}
interface PgSession {
  readonly mechanism: string
  readonly response: string
}
const pgSasl: PgSasl = createRequire(import.meta.url)('pg/lib/crypto/sasl.js')

// Not with an emoji after a combining accent: there node-postgres prepares what PostgreSQL leaves raw.
const passwords = ['pencil', 'p\u00e4ssw\u00f6rd', '\u00adI\u2168 \ufb01']
const certificate = readFileSync(new URL('fixtures/ecdsa-sha384.der', import.meta.url))
const tlsStream = { getPeerCertificate: () => ({ raw: certificate }) }

for (const given of passwords) {
  for (const stream of [undefined, tlsStream]) {
    test(`node-postgres logs in with ${JSON.stringify(given)} ${stream ? 'bound to its TLS channel' : 'unbound'}`, async () => {
      const channelBinding = stream ? tlsServerEndPoint(certificate) : null
      const exchange = server({ verifier: buildScramVerifier(given, Buffer.alloc(16, 9), 4096), channelBinding })
      const session = pgSasl.startSession(offeredMechanisms(channelBinding), stream)
      assert.equal(session.mechanism, stream ? plus : plain)
      const challenge = exchange.first(session.mechanism, Buffer.from(session.response))
      assert.ok(challenge.kind === 'continue')
      await pgSasl.continueSession(session, given, challenge.data.toString(), stream)
      const verdict = exchange.final(Buffer.from(session.response))
      assert.ok(verdict.kind === 'done', JSON.stringify(verdict))
      pgSasl.finalizeSession(session, verdict.data.toString())
    })
  }
}
