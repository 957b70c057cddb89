import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScramClient } from './scram-client.ts'
import { ScramKeyCache } from './scram-key-cache.ts'
import { ScramServer } from './scram-server.ts'
import { buildScramVerifier } from './scram-verifier.ts'

test('the exchange of RFC 7677 comes out byte for byte, on both sides', () => {
  const verifier = buildScramVerifier('pencil', Buffer.from('W22ZaJ0SNY7soEsUEjb6gQ==', 'base64'), 4096)
  const server = new ScramServer({
    verifier,
    user: 'user',
    serverNonce: '%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0',
    channelBinding: null,
    genuine: true,
  })
  const clientFirst = Buffer.from('n,,n=user,r=rOprNGfwEbeRWgbNEkqO')
  const challenge = server.first('SCRAM-SHA-256', clientFirst)
  assert.ok(challenge.kind === 'continue')
  assert.equal(
    challenge.data.toString(),
    'r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096',
  )
  const clientFinal =
    'c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ='
  const verdict = server.final(Buffer.from(clientFinal))
  assert.ok(verdict.kind === 'done')
  assert.equal(verdict.data.toString(), 'v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=')
})

test('a client logs in to a server with a password', () => {
  const verifier = buildScramVerifier('pencil', Buffer.alloc(16, 7), 4096)
  const server = new ScramServer({ verifier, user: 'u', serverNonce: 'SSS', channelBinding: null, genuine: true })
  const client = new ScramClient({
    credential: { kind: 'password', password: 'pencil' },
    clientNonce: 'CCC',
    offered: ['SCRAM-SHA-256'],
    channelBinding: null,
    keyCache: new ScramKeyCache(4),
  })
  const hello = client.first()
  assert.ok(hello.kind === 'continue' && client.mechanism !== null)
  const challenge = server.first(client.mechanism, hello.data)
  assert.ok(challenge.kind === 'continue')
  const proof = client.final(challenge.data)
  assert.ok(proof.kind === 'continue')
  const done = server.final(proof.data)
  assert.ok(done.kind === 'done')
  assert.deepEqual(client.verify(done.data), { kind: 'done' })
})
