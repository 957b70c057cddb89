import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { buildMd5Verifier, md5Response } from '../auth/md5.ts'
import { ScramKeyCache } from '../auth/scram-key-cache.ts'
import { deriveScramKeys } from '../auth/scram-keys.ts'
import { offeredMechanisms, ScramServer } from '../auth/scram-server.ts'
import { buildScramVerifier } from '../auth/scram-verifier.ts'
import { HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'
import * as messages from '../protocol/messages.ts'
import { MessageReader } from '../protocol/reader.ts'
import { parseStartup } from '../protocol/startup.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { testShardValue } from '../shard/shard.fixture.ts'
import { type LoginVerdict, ServerLogin } from './server-login.ts'
import type { ServerCredential, ServerTarget } from './server-target.ts'

const shard = testShardValue()
const NOTHING: ServerCredential = { scram: null, password: null, md5Hash: null }
const PASSWORD: ServerCredential = {
  scram: { kind: 'password', password: 'secret' },
  password: 'secret',
  md5Hash: null,
}

function login(
  credential: ServerCredential,
  channelBinding: Buffer | null = null,
  startup: ServerTarget['startup'] = [],
): ServerLogin {
  const to = { shard, user: 'ada', database: 'shop', credential, startup }
  return new ServerLogin(to, { channelBinding, nonce: 'nonce', keyCache: new ScramKeyCache(4) })
}

const write = (run: (writer: MessageWriter) => void): Buffer => {
  const writer = new MessageWriter()
  run(writer)
  return Buffer.from(writer.bytes)
}

/** Feeds whole messages, among other bytes; the verdict of each until one is not `wait`. */
function feed(one: ServerLogin, bytes: Buffer): LoginVerdict {
  const among = Buffer.concat([Buffer.from('xx'), bytes, Buffer.from('x\0')])
  for (let at = 2; at < 2 + bytes.length; ) {
    const end = at + 1 + lengthAt(among, at + 1)
    const verdict = one.message(among[at] as number, among, at + HEADER_BYTES, end)
    if (verdict.kind !== 'wait') return verdict
    at = end
  }
  return { kind: 'wait' }
}

/** What the client's message of type `p` says. */
function answered(verdict: LoginVerdict): MessageReader {
  assert.ok(verdict.kind === 'send', JSON.stringify(verdict))
  assert.equal(verdict.bytes[0], 0x70)
  assert.equal(lengthAt(verdict.bytes, 1) + 1, verdict.bytes.length)
  return new MessageReader(Buffer.from(verdict.bytes), HEADER_BYTES, verdict.bytes.length)
}

function failure(verdict: LoginVerdict): string {
  assert.ok(verdict.kind === 'failed', JSON.stringify(verdict))
  return `${verdict.fields.sqlstate} ${verdict.fields.message}`
}

const OK = write(messages.writeAuthenticationOk)
const READY = write((writer) => messages.writeReady(writer, 0x49))

// As PostgreSQL 18.4 sent it to a client that it trusts.
const TRUSTED = Buffer.from(
  '5200000008000000005300000017696e5f686f745f7374616e646279006f6666005300000019696e74656765725f6461746574696d657300' +
    '6f6e00530000001554696d655a6f6e65004574632f55544300530000001b496e74657276616c5374796c6500706f73746772657300530000' +
    '00207365617263685f7061746800222475736572222c207075626c696300530000001569735f737570657275736572006f66660053000000' +
    '166170706c69636174696f6e5f6e616d650000530000002664656661756c745f7472616e73616374696f6e5f726561645f6f6e6c79006f66' +
    '6600530000001a736372616d5f697465726174696f6e730034303936005300000017446174655374796c650049534f2c204d445900530000' +
    '00237374616e646172645f636f6e666f726d696e675f737472696e6773006f6e00530000002173657373696f6e5f617574686f72697a6174' +
    '696f6e00747275737479005300000019636c69656e745f656e636f64696e6700555446380053000000187365727665725f76657273696f6e' +
    '0031382e340053000000197365727665725f656e636f64696e670055544638004b0000000c000008de3fcdacab5a0000000549',
  'hex',
)
const NO_DATABASE = Buffer.from(
  '450000005a53464154414c0056464154414c00433344303030004d646174616261736520226e6f70652220646f6573206e6f742065786973' +
    '740046706f7374696e69742e63004c313031360052496e6974506f7374677265730000',
  'hex',
)
const WRONG_PASSWORD = Buffer.from(
  '450000006553464154414c0056464154414c00433238503031004d70617373776f72642061757468656e7469636174696f6e206661696c65' +
    '6420666f7220757365722022636c656172220046617574682e63004c3332300052617574685f6661696c65640000',
  'hex',
)
const ASK_CLEARTEXT = Buffer.from('520000000800000003', 'hex')
const ASK_MD5 = Buffer.from('520000000c00000005ee13fa19', 'hex')
const ASK_SCRAM = Buffer.from('52000000170000000a534352414d2d5348412d3235360000', 'hex')

test('the startup message has the user, the database and what the target adds, and nothing else', () => {
  const bytes = login(NOTHING, null, [['replication', 'true']]).start()
  assert.deepEqual(parseStartup(bytes, 0, bytes.length, { bytes: 10_000, parameters: 10 }), {
    kind: 'startup',
    major: 3,
    minor: 0,
    total: bytes.length,
    parameters: new Map([
      ['user', 'ada'],
      ['database', 'shop'],
      ['replication', 'true'],
    ]),
  })
})

test('a server that trusts us: its parameters and its cancel key are kept', () => {
  const one = login(NOTHING)
  assert.deepEqual(feed(one, TRUSTED), { kind: 'ready' })
  assert.equal(one.reported.size, 15)
  assert.equal(one.reported.get('search_path'), '"$user", public')
  assert.equal(one.reported.get('application_name'), '')
  assert.equal(one.backendPid, 0x8de)
  assert.equal(one.cancelKey.toString('hex'), '3fcdacab')
})

test('a cancel key of 256 bytes is kept whole, also when the buffer is used for something else', () => {
  const one = login(NOTHING)
  const bytes = write((writer) => messages.writeBackendKeyData(writer, -5, Buffer.alloc(256, 7)))
  one.message(bytes[0] as number, bytes, HEADER_BYTES, bytes.length)
  bytes.fill(0)
  assert.deepEqual([one.backendPid, one.cancelKey], [-5, Buffer.alloc(256, 7)])
})

test('cleartext: the password is said', () => {
  const one = login(PASSWORD)
  const answer = answered(feed(one, ASK_CLEARTEXT))
  assert.deepEqual([answer.text(), answer.remaining], ['secret', 0])
  assert.deepEqual(feed(one, TRUSTED), { kind: 'ready' })
})

test('MD5: the answer fits the salt, from the password or from the stored hash', () => {
  const expected = md5Response({ kind: 'password', password: 'secret' }, 'ada', Buffer.from('ee13fa19', 'hex'))
  const { hash } = buildMd5Verifier('secret', 'ada')
  for (const credential of [PASSWORD, { ...NOTHING, md5Hash: hash }]) {
    assert.equal(answered(feed(login(credential), ASK_MD5)).text(), expected)
  }
})

/** A login by SCRAM up to what follows our proof: the server's last message, and what we say to it. */
function scram(credential: ServerCredential, binding: Buffer | null = null, secret = 'secret') {
  const one = login(credential, binding)
  const server = new ScramServer({
    verifier: buildScramVerifier(secret, Buffer.alloc(16, 3), 4096),
    user: 'ada',
    serverNonce: 'abc',
    channelBinding: binding,
    genuine: true,
  })
  const offer =
    binding === null
      ? ASK_SCRAM
      : write((writer) => messages.writeAuthenticationSasl(writer, offeredMechanisms(binding)))
  const first = answered(feed(one, offer))
  const mechanism = first.text()
  const challenge = server.first(mechanism, first.raw(first.int32()))
  assert.ok(challenge.kind === 'continue')
  const next = feed(
    one,
    write((writer) => messages.writeAuthenticationSaslContinue(writer, challenge.data)),
  )
  if (next.kind === 'failed') return { one, mechanism, final: null, refusal: failure(next) }
  const proof = answered(next)
  const final = server.final(proof.raw(proof.remaining))
  return { one, mechanism, final, refusal: null }
}

test('SCRAM: password or keys get in, and the server has to prove itself too', () => {
  const keys = { kind: 'keys', ...deriveScramKeys('secret', Buffer.alloc(16, 3), 4096) } as const
  for (const credential of [PASSWORD, { ...NOTHING, scram: keys }]) {
    const { one, mechanism, final } = scram(credential)
    assert.ok(final?.kind === 'done')
    assert.equal(mechanism, 'SCRAM-SHA-256')
    assert.deepEqual(
      feed(
        one,
        write((writer) => messages.writeAuthenticationSaslFinal(writer, final.data)),
      ),
      {
        kind: 'wait',
      },
    )
    assert.deepEqual(feed(one, TRUSTED), { kind: 'ready' })
  }
})

test('SCRAM over TLS is bound to the certificate that the server showed', () => {
  const { mechanism, final } = scram(PASSWORD, Buffer.alloc(32, 9))
  assert.deepEqual([mechanism, final?.kind], ['SCRAM-SHA-256-PLUS', 'done'])
})

test('SCRAM with a wrong password is refused by the server, in its words', () => {
  const { one, final } = scram(PASSWORD, null, 'another')
  assert.equal(final?.kind, 'failed')
  assert.equal(failure(feed(one, WRONG_PASSWORD)), '28P01 password authentication failed for user "clear"')
})

test('a server that lets us in without its SCRAM signature may be an impostor', () => {
  const { one } = scram(PASSWORD)
  assert.equal(failure(feed(one, OK)), '28000 the server did not prove that it knows the password')
  const begun = login(PASSWORD)
  feed(begun, ASK_SCRAM)
  assert.equal(failure(feed(begun, OK)), '28000 the server did not prove that it knows the password')
})

test('a server with a wrong SCRAM signature does not know the password', () => {
  const { one } = scram(PASSWORD)
  const wrong = Buffer.from(`v=${Buffer.alloc(32).toString('base64')}`)
  const verdict = feed(
    one,
    write((writer) => messages.writeAuthenticationSaslFinal(writer, wrong)),
  )
  assert.match(failure(verdict), /^28P01 the server signature is wrong/)
})

test('a server that offers no SCRAM we can do is refused with what it offers', () => {
  const offer = write((writer) => messages.writeAuthenticationSasl(writer, ['OAUTHBEARER']))
  assert.match(failure(feed(login(PASSWORD), offer)), /the server offers OAUTHBEARER, not SCRAM-SHA-256/)
})

for (const [title, ask] of [
  ['a password', ASK_CLEARTEXT],
  ['an MD5 password', ASK_MD5],
  ['SCRAM', ASK_SCRAM],
] as const) {
  test(`a server that asks for ${title} which nobody knows: the operator is told what to do`, () => {
    const seen = failure(feed(login(NOTHING), ask))
    assert.ok(seen.startsWith(`28000 shard "db1" asks for ${title} of user "ada", and none is known: give the user`))
  })
}

test('a refusal is passed on as the server said it, whenever it comes', () => {
  const expected = '3D000 database "nope" does not exist'
  assert.equal(failure(feed(login(NOTHING), NO_DATABASE)), expected)
  assert.equal(failure(feed(login(NOTHING), Buffer.concat([OK, NO_DATABASE]))), expected)
})

test('notices and a negotiation of the version are passed over', () => {
  const notice = write((writer) =>
    messages.writeError(writer, { severity: 'NOTICE', sqlstate: '00000', message: 'password expires soon' }),
  )
  const negotiation = write((writer) => messages.writeNegotiateProtocolVersion(writer, 0, ['_pq_.x']))
  assert.deepEqual(feed(login(NOTHING), Buffer.concat([negotiation, OK, notice, READY])), { kind: 'ready' })
})

const impossible: readonly (readonly [string, Buffer, RegExp])[] = [
  ['ready without a login', READY, /^08P01 the server is ready without a login$/],
  ['rows during a login', Buffer.from('D\0\0\0\x04', 'latin1'), /^08P01 the server sent message 68 during login$/],
  ['GSS', Buffer.from('520000000800000007', 'hex'), /^28000 .* method 7, which is not supported$/],
  ['a SASL exchange from the middle', Buffer.from('52000000080000000b', 'hex'), /^08P01 .* that was not begun$/],
  ['a SASL exchange from its end', Buffer.from('52000000080000000c', 'hex'), /^08P01 .* that was not begun$/],
  ['an authentication without a method', Buffer.from('5200000004', 'hex'), /^08P01 .* malformed message 82/],
  ['MD5 without its salt', Buffer.from('520000000a000000050000', 'hex'), /^08P01 .* malformed message 82/],
  ['SASL without mechanisms', Buffer.from('52000000080000000a', 'hex'), /^08P01 .* malformed message 82/],
  ['a parameter without a value', Buffer.from('S\0\0\0\x07ab\0', 'latin1'), /^08P01 .* malformed message 83/],
  ['a cancel key without a process', Buffer.from('4b000000060000', 'hex'), /^08P01 .* malformed message 75/],
  ['an error without its end', Buffer.from('E\0\0\0\x09SERR\0', 'latin1'), /^08P01 .* malformed message 69/],
]
for (const [title, bytes, expected] of impossible) {
  test(`refused: ${title}`, () => {
    assert.match(failure(feed(login(PASSWORD), bytes)), expected)
  })
}

test('arbitrary messages are answered or refused, never an exception, and never a login', () => {
  const type = fc.constantFrom(...Array.from('RRRSKENZv', (char) => char.charCodeAt(0)))
  const code = fc.constantFrom(3, 5, 10, 11, 12).map((value) => [0, 0, 0, value])
  const body = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc.tuple(code, fc.uint8Array({ maxLength: 30 })).map((parts) => parts.flatMap((part) => [...part])),
  )
  fc.assert(
    fc.property(fc.array(fc.tuple(type, body), { maxLength: 6 }), (list) => {
      const one = login(PASSWORD)
      for (const [kind, bytes] of list) {
        const verdict = one.message(kind, Buffer.from(bytes), 0, bytes.length)
        // AuthenticationOk by chance.
        const isOk = kind === 0x52 && bytes.length >= 4 && Buffer.from(bytes).readInt32BE(0) === 0
        if (isOk) return
        assert.notEqual(verdict.kind, 'ready')
        if (verdict.kind === 'failed') return
      }
    }),
    { numRuns: 500 },
  )
})
