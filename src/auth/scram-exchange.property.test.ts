import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { LoginShapes, mockAccount } from './mock-account.ts'
import type { ScramCredential } from './scram-client.ts'
import { ScramClient } from './scram-client.ts'
import { ScramKeyCache } from './scram-key-cache.ts'
import type { ScramServerVerdict } from './scram-server.ts'
import { offeredMechanisms, ScramServer } from './scram-server.ts'
import { buildScramVerifier } from './scram-verifier.ts'

const iterations = 2
const keyCache = new ScramKeyCache(8)
const certificateHash = fc.option(fc.uint8Array({ minLength: 20, maxLength: 64 }).map((bytes) => Buffer.from(bytes)))
const saltBytes = fc.uint8Array({ minLength: 1, maxLength: 32 }).map((bytes) => Buffer.from(bytes))
const nonce = fc.uint8Array({ minLength: 1, maxLength: 24 }).map((bytes) => Buffer.from(bytes).toString('base64'))
const password = fc.string({ unit: 'grapheme', minLength: 1 })

interface Login {
  readonly password: string
  readonly salt: Buffer
  readonly clientNonce: string
  readonly serverNonce: string
  readonly channelBinding: Buffer | null
}
const login = fc.record<Login>({
  password,
  salt: saltBytes,
  clientNonce: nonce,
  serverNonce: nonce,
  channelBinding: certificateHash,
})

function serverFor(setup: Login): ScramServer {
  const verifier = buildScramVerifier(setup.password, setup.salt, iterations)
  return new ScramServer({ ...setup, verifier, user: 'u', genuine: true })
}

function clientFor(setup: Login, credential: ScramCredential): ScramClient {
  return new ScramClient({ ...setup, credential, offered: offeredMechanisms(setup.channelBinding), keyCache })
}

/** Runs both sides; `onClientFinal` may tamper with the proof. */
function exchange(
  server: ScramServer,
  client: ScramClient,
  onClientFinal = (data: Buffer) => data,
): ScramServerVerdict {
  const hello = client.first()
  assert.ok(hello.kind === 'continue' && client.mechanism !== null)
  const challenge = server.first(client.mechanism, hello.data)
  assert.ok(challenge.kind === 'continue')
  const proof = client.final(challenge.data)
  assert.ok(proof.kind === 'continue')
  const verdict = server.final(onClientFinal(proof.data))
  if (verdict.kind === 'done') assert.deepEqual(client.verify(verdict.data), { kind: 'done' })
  return verdict
}

test('any password logs in, and its keys then log in without it, with and without channel binding', () => {
  fc.assert(
    fc.property(login, (setup) => {
      const verdict = exchange(serverFor(setup), clientFor(setup, { kind: 'password', password: setup.password }))
      assert.ok(verdict.kind === 'done')
      const { serverKey } = buildScramVerifier(setup.password, setup.salt, iterations)
      const keys = { clientKey: verdict.clientKey, serverKey: Buffer.from(serverKey, 'base64') }
      assert.equal(exchange(serverFor(setup), clientFor(setup, { kind: 'keys', ...keys })).kind, 'done')
    }),
  )
})

test('any other password fails, as do all passwords for a mock', () => {
  fc.assert(
    fc.property(login, password, (setup, other) => {
      fc.pre(other.normalize('NFKC') !== setup.password.normalize('NFKC'))
      const wrong = clientFor(setup, { kind: 'password', password: other })
      assert.equal(exchange(serverFor(setup), wrong).kind, 'failed')
      const verifier = mockAccount('u', setup.salt, new LoginShapes()).scram
      const mock = new ScramServer({ ...setup, verifier, user: 'u', genuine: false })
      assert.equal(exchange(mock, clientFor(setup, { kind: 'password', password: other })).kind, 'failed')
    }),
  )
})

test('a mock fails even for whoever knows the password of its verifier', () => {
  fc.assert(
    fc.property(login, (setup) => {
      const verifier = buildScramVerifier(setup.password, setup.salt, iterations)
      const mock = new ScramServer({ ...setup, verifier, user: 'u', genuine: false })
      assert.equal(exchange(mock, clientFor(setup, { kind: 'password', password: setup.password })).kind, 'failed')
    }),
    { numRuns: 20 },
  )
})

test('a client-final-message with any one byte changed or cut off fails', () => {
  fc.assert(
    fc.property(login, fc.nat(), fc.integer({ min: 1, max: 255 }), (setup, at, change) => {
      const credential = { kind: 'password', password: setup.password } as const
      const changed = exchange(serverFor(setup), clientFor(setup, credential), (data) => {
        const position = at % data.length
        const copy = Buffer.from(data)
        copy[position] = (copy[position] ?? 0) ^ change
        return copy
      })
      assert.equal(changed.kind, 'failed')
      const cut = exchange(serverFor(setup), clientFor(setup, credential), (data) => data.subarray(0, at % data.length))
      assert.equal(cut.kind, 'failed')
    }),
    { numRuns: 300 },
  )
})

test('a client-first-message that was changed on the way fails at the end at the latest', () => {
  fc.assert(
    fc.property(login, fc.nat(), fc.integer({ min: 1, max: 255 }), (setup, at, change) => {
      const client = clientFor(setup, { kind: 'password', password: setup.password })
      const server = serverFor(setup)
      const hello = client.first()
      assert.ok(hello.kind === 'continue' && client.mechanism !== null)
      const position = at % hello.data.length
      hello.data[position] = (hello.data[position] ?? 0) ^ change
      const challenge = server.first(client.mechanism, hello.data)
      if (challenge.kind === 'failed') return
      assert.ok(challenge.kind === 'continue')
      const proof = client.final(challenge.data)
      if (proof.kind === 'failed') return
      assert.ok(proof.kind === 'continue')
      assert.equal(server.final(proof.data).kind, 'failed')
    }),
    { numRuns: 300 },
  )
})

test('no bytes make the server throw', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (first, final) => {
      const setup = { password: 'p', salt: Buffer.alloc(16), clientNonce: 'C', serverNonce: 'S', channelBinding: null }
      const server = serverFor(setup)
      assert.notEqual(server.first('SCRAM-SHA-256', Buffer.from(first)).kind, 'done')
      assert.equal(server.final(Buffer.from(final)).kind, 'failed')
    }),
  )
})

test('no bytes make the client throw or believe the server', () => {
  fc.assert(
    fc.property(fc.uint8Array(), fc.uint8Array(), (first, final) => {
      const setup = { password: 'p', salt: Buffer.alloc(16), clientNonce: 'C', serverNonce: 'S', channelBinding: null }
      const client = clientFor(setup, { kind: 'password', password: 'p' })
      client.first()
      client.final(Buffer.from(first))
      assert.equal(client.verify(Buffer.from(final)).kind, 'failed')
    }),
  )
})
