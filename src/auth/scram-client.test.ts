import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { ScramClientOptions } from './scram-client.ts'
import { chooseMechanism, ScramClient } from './scram-client.ts'
import { ScramKeyCache } from './scram-key-cache.ts'
import { buildScramVerifier } from './scram-verifier.ts'

const hash = Buffer.alloc(32, 1)
const both = ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256']

function client(options: Partial<ScramClientOptions> = {}): ScramClient {
  return new ScramClient({
    credential: { kind: 'password', password: 'pencil' },
    clientNonce: 'CCC',
    offered: both,
    channelBinding: null,
    keyCache: new ScramKeyCache(2),
    ...options,
  })
}

test('PLUS is chosen where the server offers it and its certificate has a hash', () => {
  assert.equal(chooseMechanism(both, hash), 'SCRAM-SHA-256-PLUS')
  assert.equal(chooseMechanism(both, null), 'SCRAM-SHA-256')
  assert.equal(chooseMechanism(['SCRAM-SHA-256'], hash), 'SCRAM-SHA-256')
  assert.equal(chooseMechanism(['SCRAM-SHA-1'], hash), null)
})

const headers: readonly (readonly [string, Partial<ScramClientOptions>, string])[] = [
  ['without TLS', {}, 'n,,n=,r=CCC'],
  ['with TLS and PLUS', { channelBinding: hash }, 'p=tls-server-end-point,,n=,r=CCC'],
  ['with TLS where PLUS was not offered', { channelBinding: hash, offered: ['SCRAM-SHA-256'] }, 'y,,n=,r=CCC'],
]
for (const [name, options, message] of headers) {
  test(`client-first-message ${name}`, () => {
    const verdict = client(options).first()
    assert.ok(verdict.kind === 'continue')
    assert.equal(verdict.data.toString(), message)
  })
}

const bindings: readonly (readonly [string, Partial<ScramClientOptions>, string])[] = [
  ['without TLS', {}, 'n,,'],
  ['with TLS and PLUS', { channelBinding: hash }, `p=tls-server-end-point,,${hash.toString('latin1')}`],
  ['with TLS where PLUS was not offered', { channelBinding: hash, offered: ['SCRAM-SHA-256'] }, 'y,,'],
]
for (const [name, options, binding] of bindings) {
  test(`client-final-message repeats the header, with the certificate hash if it is bound: ${name}`, () => {
    const exchange = client(options)
    exchange.first()
    const verdict = exchange.final(Buffer.from(`r=CCCSSS,s=${Buffer.alloc(16).toString('base64')},i=1`))
    assert.ok(verdict.kind === 'continue')
    const expected = Buffer.from(binding, 'latin1').toString('base64')
    assert.ok(verdict.data.toString().startsWith(`c=${expected},r=CCCSSS,p=`), verdict.data.toString())
  })
}

test('a server that offers nothing we know is named in the reason', () => {
  const verdict = client({ offered: ['SCRAM-SHA-512', 'PLAIN'] }).first()
  assert.ok(verdict.kind === 'failed')
  assert.match(verdict.reason, /offers SCRAM-SHA-512, PLAIN/)
})

const salt = Buffer.alloc(16).toString('base64')
const challenges: readonly (readonly [string, string, RegExp])[] = [
  ['a nonce that is not ours', `r=XCCCSSS,s=${salt},i=4096`, /does not continue ours/],
  ['our nonce alone', `r=CCC,s=${salt},i=4096`, /does not continue ours/],
  ['a nonce with other bytes', `r=CCC\u00e9,s=${salt},i=4096`, /non-printable/],
  ['no salt', 'r=CCCSSS,i=4096', /attribute "s"/],
  ['an empty salt', 'r=CCCSSS,s=,i=4096', /salt/],
  ['a salt that is not base64', 'r=CCCSSS,s=!,i=4096', /salt/],
  ['no iterations', `r=CCCSSS,s=${salt}`, /attribute "i"/],
  ['zero iterations', `r=CCCSSS,s=${salt},i=0`, /not a positive number/],
  ['iterations that would block for minutes', `r=CCCSSS,s=${salt},i=2000000000`, /the most is 100000/],
  ['an extension', `r=CCCSSS,s=${salt},i=4096,x=y`, /garbage/],
  ['a mandatory extension', `m=x,r=CCCSSS,s=${salt},i=4096`, /attribute "r"/],
  ['nothing', '', /found the end of the message/],
]
for (const [name, message, reason] of challenges) {
  test(`server-first-message: ${name} ends the exchange`, () => {
    const exchange = client()
    exchange.first()
    const verdict = exchange.final(Buffer.from(message))
    assert.ok(verdict.kind === 'failed')
    assert.match(verdict.reason, reason)
    assert.equal(exchange.final(Buffer.from(`r=CCCSSS,s=${salt},i=1`)).kind, 'failed', 'and there is no second try')
  })
}

const endings: readonly (readonly [string, string, RegExp, string])[] = [
  ['an error', 'e=invalid-proof', /"invalid-proof"/, '28P01'],
  ['no signature', 'v=', /malformed/, '08P01'],
  ['a short signature', 'v=AAAA', /malformed/, '08P01'],
  ['another signature', `v=${Buffer.alloc(32).toString('base64')}`, /does not know the verifier/, '28P01'],
  ['something after it', `v=${Buffer.alloc(32).toString('base64')},x=y`, /garbage/, '08P01'],
  ['nothing', '', /attribute "v"/, '08P01'],
]
for (const [name, message, reason, sqlstate] of endings) {
  test(`server-final-message: ${name} is not believed`, () => {
    const exchange = client()
    exchange.first()
    assert.equal(exchange.final(Buffer.from(`r=CCCSSS,s=${salt},i=1`)).kind, 'continue')
    const verdict = exchange.verify(Buffer.from(message))
    assert.ok(verdict.kind === 'failed')
    assert.match(verdict.reason, reason)
    assert.equal(verdict.sqlstate, sqlstate)
  })
}

test('messages out of order end the exchange', () => {
  assert.equal(client().final(Buffer.from(`r=CCCSSS,s=${salt},i=1`)).kind, 'failed')
  assert.equal(client().verify(Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`)).kind, 'failed')
  const exchange = client()
  exchange.first()
  const again = exchange.first()
  assert.ok(again.kind === 'failed')
  assert.match(again.reason, /while greeted/)
})

test('keys of a pass-through are used as they are, whatever iterations the server names', () => {
  const key = Buffer.alloc(32, 3)
  const exchange = client({ credential: { kind: 'keys', clientKey: key, serverKey: key } })
  exchange.first()
  assert.equal(exchange.final(Buffer.from(`r=CCCSSS,s=${salt},i=2000000000`)).kind, 'continue')
})

test('the key cache derives once, keeps the newest used, and tells passwords, salts and iterations apart', () => {
  const cache = new ScramKeyCache(2)
  const one = Buffer.alloc(16, 1)
  const two = Buffer.alloc(16, 2)
  const keys = cache.keysFor('a', one, 2)
  assert.equal(buildScramVerifier('a', one, 2).serverKey, keys.serverKey.toString('base64'))
  assert.equal(cache.keysFor('a', one, 2), keys)
  assert.notDeepEqual(cache.keysFor('a', two, 2), keys)
  cache.keysFor('a', one, 2)
  assert.notDeepEqual(cache.keysFor('b', one, 2), keys)
  assert.equal(cache.size, 2)
  assert.ok(cache.has('a', one, 2), 'it was used after the other salt')
  assert.ok(!cache.has('a', two, 2))
  assert.notDeepEqual(cache.keysFor('a', one, 3), keys)
  assert.throws(() => new ScramKeyCache(0), /capacity 0/)
})
