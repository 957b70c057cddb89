import assert from 'node:assert/strict'
import { buildMd5Verifier, md5Response } from '../auth/md5.ts'
import { LoginShapes, mockAccount } from '../auth/mock-account.ts'
import { ScramClient } from '../auth/scram-client.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import { buildScramVerifier } from '../auth/scram-verifier.ts'
import { AUTHENTICATION, BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import { MessageReader } from '../protocol/reader.ts'
import type { HbaMethod, UserValue } from '../shard/plane-values.ts'
import { testUserValue } from '../shard/user.fixture.ts'
import { Authentication, type AuthenticationContext, type AuthenticationVerdict } from './authentication.ts'

export const scramVerifier = buildScramVerifier('secret', Buffer.alloc(16, 7), 4096)
export const md5Verifier = buildMd5Verifier('secret', 'ada')
export const certificateHash = Buffer.alloc(32, 9)

/** A user without any secret, who does not exist as far as one can tell. */
export const nobody: UserValue = testUserValue()
export const withScram: UserValue = { ...nobody, verifier: scramVerifier }
export const withMd5: UserValue = { ...nobody, verifier: md5Verifier }
export const withPassword: UserValue = { ...nobody, password: 'secret' }
export const withBoth: UserValue = { ...nobody, verifier: scramVerifier, password: 'secret' }

/** The exchange with a client that calls itself ada. */
export function authentication(
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
export function asked(verdict: AuthenticationVerdict): { request: number; data: Buffer } {
  assert.ok(verdict.kind === 'send', JSON.stringify(verdict))
  assert.equal(verdict.bytes[0], BACKEND.authentication)
  assert.equal(verdict.bytes.readInt32BE(1) + 1, verdict.bytes.length)
  const reader = new MessageReader(verdict.bytes, HEADER_BYTES, verdict.bytes.length)
  return { request: reader.int32(), data: Buffer.from(reader.raw(reader.remaining)) }
}

/** The client's message among bytes of others. */
export function answer(exchange: Authentication, ...parts: readonly (string | Buffer)[]): AuthenticationVerdict {
  const body = Buffer.concat(parts.map((part) => Buffer.from(part as string)))
  const bytes = Buffer.concat([Buffer.from('before'), body, Buffer.from('behind\0')])
  return exchange.answer(bytes, 6, 6 + body.length)
}

/** As the protocol has it. */
export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** A whole SCRAM exchange; `secret` is what the client believes. */
export function scram(exchange: Authentication, secret: string, binding: Buffer | null = null): AuthenticationVerdict {
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

/** A whole exchange in clear text. */
export function cleartext(exchange: Authentication, secret: string): AuthenticationVerdict {
  assert.deepEqual(asked(exchange.start()), { request: AUTHENTICATION.cleartext, data: Buffer.alloc(0) })
  return answer(exchange, `${secret}\0`)
}

/** A whole MD5 exchange. */
export function md5(exchange: Authentication, secret: string): AuthenticationVerdict {
  const { request, data } = asked(exchange.start())
  assert.equal(request, AUTHENTICATION.md5)
  assert.equal(data.length, 4)
  return answer(exchange, `${md5Response({ kind: 'password', password: secret }, 'ada', data)}\0`)
}

/** What a login that went well leaves behind. */
export function credentialOf(verdict: AuthenticationVerdict) {
  assert.ok(verdict.kind === 'done', JSON.stringify(verdict))
  return verdict.credential
}

/** Why a login failed, or what the verdict is when it has not. */
export const reasonOf = (verdict: AuthenticationVerdict): string =>
  verdict.kind === 'failed' ? verdict.reason : verdict.kind
