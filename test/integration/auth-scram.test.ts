import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { after, before, test } from 'node:test'
import pg from 'pg'
import type { ScramClientVerdict, ScramCredential } from '../../src/auth/scram-client.ts'
import { ScramClient } from '../../src/auth/scram-client.ts'
import { ScramKeyCache } from '../../src/auth/scram-key-cache.ts'
import { ScramServer } from '../../src/auth/scram-server.ts'
import { buildScramVerifier, formatScramVerifier, parseVerifier } from '../../src/auth/scram-verifier.ts'
import { tlsServerEndPoint } from '../../src/auth/tls-server-end-point.ts'
import type { ScramVerifier } from '../../src/shard/plane-values.ts'
import { TestCluster } from '../support/postgres-cluster.ts'
import { ScramClient as PeerClient } from '../support/scram-client.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'

let cluster: TestCluster
before(async () => {
  cluster = await TestCluster.open()
})
after(async () => {
  await cluster.close()
})

const newNonce = () => randomBytes(18).toString('base64')
const keyCache = new ScramKeyCache(16)

function dataOf(verdict: ScramClientVerdict): Buffer {
  assert.ok(verdict.kind === 'continue', JSON.stringify(verdict))
  return verdict.data
}

interface Outcome {
  readonly mechanism: string | null
  /** The last message type before the end: `Z` is success, `E` an error. */
  readonly type: string
  readonly sqlstate: string
}

/** Logs in to the real server with `ScramClient`; the connection is closed afterwards. */
async function logIn(user: string, credential: ScramCredential, tls: boolean, forge = false): Promise<Outcome> {
  const wireClient = await WireClient.connect(cluster.primary)
  try {
    if (tls) assert.equal(await wireClient.requestTls(), 'S')
    const certificateHash = tls ? tlsServerEndPoint(wireClient.tls.getPeerCertificate().raw) : null
    const channelBinding = forge ? randomBytes(32) : certificateHash
    wireClient.send(wire.startup({ user, database: 'postgres' }))
    const request = await wireClient.next()
    const offered = request.body.toString('latin1', 4).split('\0').filter(Boolean)
    const scram = new ScramClient({ credential, clientNonce: newNonce(), offered, channelBinding, keyCache })
    const first = dataOf(scram.first())
    wireClient.send(wire.frame('p', wire.text(scram.mechanism ?? ''), wire.int32(first.length), first))
    const challenge = await wireClient.next()
    if (challenge.type === 'E') return { mechanism: scram.mechanism, type: 'E', sqlstate: challenge.sqlstate }
    wireClient.send(wire.frame('p', dataOf(scram.final(challenge.body.subarray(4)))))
    const final = await wireClient.next()
    if (final.type === 'E') return { mechanism: scram.mechanism, type: 'E', sqlstate: final.sqlstate }
    assert.deepEqual(scram.verify(final.body.subarray(4)), { kind: 'done' })
    const rest = await wireClient.until('ZE')
    return { mechanism: scram.mechanism, type: rest.at(-1)?.type ?? '', sqlstate: '' }
  } finally {
    wireClient.close()
  }
}

async function storedVerifier(user: string): Promise<ScramVerifier> {
  const verifier = parseVerifier(await cluster.storedPassword(user))
  assert.ok(verifier?.kind === 'scram-sha-256')
  return verifier
}

test('PostgreSQL lets our client in with a password, bound to the channel where there is TLS', async () => {
  const { user, password } = await cluster.createRole({ password: 'p\u00e4ss \u2168' })
  const credential = { kind: 'password', password } as const
  assert.deepEqual(await logIn(user, credential, false), { mechanism: 'SCRAM-SHA-256', type: 'Z', sqlstate: '' })
  assert.deepEqual(await logIn(user, credential, true), { mechanism: 'SCRAM-SHA-256-PLUS', type: 'Z', sqlstate: '' })
})

test('PostgreSQL refuses another password and a binding to another certificate', async () => {
  const { user, password } = await cluster.createRole()
  const wrong = await logIn(user, { kind: 'password', password: `${password}x` }, false)
  assert.equal(wrong.sqlstate, '28P01')
  const forged = await logIn(user, { kind: 'password', password }, true, true)
  assert.deepEqual(forged, { mechanism: 'SCRAM-SHA-256-PLUS', type: 'E', sqlstate: '28000' })
})

test('a login at our server with PostgreSQL’s verifier leaves keys that let us in at PostgreSQL', async () => {
  const { user, password } = await cluster.createRole()
  const verifier = await storedVerifier(user)
  const serverNonce = newNonce()
  const server = new ScramServer({ verifier, user, serverNonce, channelBinding: null, genuine: true })
  const client = new PeerClient({ password })
  const challenge = server.first(client.mechanism, Buffer.from(client.first))
  assert.ok(challenge.kind === 'continue')
  const verdict = server.final(Buffer.from(client.final(challenge.data.toString())))
  assert.ok(verdict.kind === 'done')
  client.verify(verdict.data.toString())
  const serverKey = Buffer.from(verifier.serverKey, 'base64')
  const keys = { kind: 'keys', clientKey: verdict.clientKey, serverKey } as const
  assert.equal((await logIn(user, keys, false)).type, 'Z')
  assert.equal((await logIn(user, keys, true)).mechanism, 'SCRAM-SHA-256-PLUS')
})

test('PostgreSQL takes a verifier that we built, and libpq’s rules let its password in', async () => {
  const { user } = await cluster.createRole()
  const password = 'I\u00adX \u{1f600}'
  const text = formatScramVerifier(buildScramVerifier(password, randomBytes(16), 4096))
  await cluster.sql(`ALTER ROLE ${user} PASSWORD ${pg.escapeLiteral(text)}`)
  assert.equal(await cluster.storedPassword(user), text)
  assert.equal((await logIn(user, { kind: 'password', password }, false)).type, 'Z')
})

test('PostgreSQL prepares every password as we do', async () => {
  const { user } = await cluster.createRole()
  // Ends of ranges, and what is mapped, removed, prohibited, unassigned, right-to-left, recent.
  const codePoints = [
    0x01, 0x7f, 0x80, 0xa0, 0xad, 0xaa, 0x220, 0x221, 0x222, 0x233, 0x234, 0x24f, 0x250, 0x34f, 0x340, 0x5d0, 0x627,
    0x6dd, 0x1680, 0x1806, 0x180e, 0x2000, 0x200b, 0x200c, 0x200f, 0x2028, 0x2060, 0x2063, 0x2064, 0x2126, 0x2168,
    0x2ff0, 0x3000, 0x4db5, 0x4db6, 0xac00, 0xd7a3, 0xd7a4, 0xe000, 0xf8ff, 0xf900, 0xfb01, 0xfb1d, 0xfdd0, 0xfe0f,
    0xfeff, 0xff21, 0xfffd, 0x10300, 0x1d173, 0x1f600, 0x2a6d6, 0x2a6d7, 0x2f800, 0xe0001, 0xe0100, 0xf0000, 0x10fffd,
  ]
  const passwords = codePoints.flatMap((codePoint) => {
    const character = String.fromCodePoint(codePoint)
    return [character, `e\u0301${character}`, `\u05d0${character}\u05d0`, `1${character}\u05d0`]
  })
  await cluster.sql('SET scram_iterations = 1')
  for (const password of passwords) {
    await cluster.sql(`ALTER ROLE ${user} PASSWORD ${pg.escapeLiteral(password)}`)
    const stored = await storedVerifier(user)
    const ours = buildScramVerifier(password, Buffer.from(stored.salt, 'base64'), stored.iterations)
    assert.deepEqual(ours, stored, JSON.stringify(password))
  }
  await cluster.sql('RESET scram_iterations')
})
