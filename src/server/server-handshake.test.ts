import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { READ_HEADROOM } from '../io/read-buffers.ts'
import { TlsChannel } from '../io/tls-channel.ts'
import { TlsContext } from '../io/tls-context.ts'
import { TlsPeer } from '../io/tls-peer.fixture.ts'
import * as messages from '../protocol/messages.ts'
import {
  type Bench,
  certificatePem,
  keyPem,
  OK,
  openHandshake,
  startupOf,
  WELCOME,
  write,
} from './server-handshake.fixture.ts'

test('without TLS the startup message is the first word, and the login ends with what the server reported', (t) => {
  const { owner, say, heard } = openHandshake(t, 'disable')
  owner.handshake.start()
  assert.equal(heard(), 'ada')
  say(WELCOME)
  assert.deepEqual(owner.told, ['logged in'])
  assert.deepEqual([owner.login?.backendPid, owner.login?.reported.get('server_version')], [77, '18.4'])
})

test('a Unix socket is never asked for TLS', (t) => {
  const { owner, heard } = openHandshake(t, 'require', '/run/postgresql/.s.PGSQL.5432')
  owner.handshake.start()
  assert.equal(heard(), 'ada')
})

test('a shard without TLS is taken as it is if TLS is only preferred', (t) => {
  const { owner, say, heard } = openHandshake(t, 'prefer')
  owner.handshake.start()
  assert.equal(heard(), 'TLS?')
  say('N')
  assert.deepEqual([heard(), owner.unused], ['ada', 0])
  say(WELCOME)
  assert.deepEqual(owner.told, ['logged in'])
})

test('a shard without TLS is refused if TLS is demanded, and hears nothing more', (t) => {
  const { owner, say, heard } = openHandshake(t, 'require')
  owner.handshake.start()
  heard()
  say('N')
  assert.deepEqual(owner.told, ['refused: the shard does not offer TLS, and server_tls.mode demands it'])
  assert.equal(heard(), '')
})

for (const [what, answer] of [
  ['an error message', 'E'],
  ['plain text behind the answer, which TLS would take for its own (CVE-2021-23222)', 'Sx'],
  ['a refusal with something behind it', 'Nx'],
] as const) {
  test(`${what} is no answer to the TLS request`, (t) => {
    const { owner, say, heard } = openHandshake(t, 'prefer')
    owner.handshake.start()
    heard()
    say(answer)
    assert.deepEqual(owner.told, ['refused: unexpected answer to the TLS request'])
    assert.equal(heard(), '')
  })
}

/** The shard accepts TLS; both sides go on until the startup message has come through it. */
function secure(t: TestContext, { host, owner, shard, say, heard }: Bench): TlsPeer {
  const context = TlsContext.forServer({
    certificatePem,
    keyPem,
    caPem: null,
    verify: 'none',
    minVersion: 'TLSv1.2',
    alpn: [],
  })
  const peer = new TlsPeer(shard, new TlsChannel(context))
  context.free()
  t.after(() => peer.channel.free())
  owner.handshake.start()
  heard()
  say('S')
  for (let round = 0; round < 10 && peer.received.length === 0; round++) {
    peer.step()
    host.settle()
  }
  return peer
}

test('the login goes through TLS once the shard has agreed to it', (t) => {
  const bench = openHandshake(t, 'require')
  const { host, owner } = bench
  const peer = secure(t, bench)
  assert.deepEqual(owner.told, ['secured TLSv1.3/TLS_AES_256_GCM_SHA384'])
  assert.equal(startupOf(Buffer.concat(peer.received)), 'ada')
  peer.send(WELCOME)
  host.settle()
  assert.deepEqual(owner.told.slice(1), ['logged in'])
})

test('the proof of a login is bound to the certificate that the shard showed', (t) => {
  const bench = openHandshake(t, 'require')
  const peer = secure(t, bench)
  peer.send(write((writer) => messages.writeAuthenticationSasl(writer, ['SCRAM-SHA-256-PLUS', 'SCRAM-SHA-256'])))
  bench.host.settle()
  peer.step()
  assert.match(Buffer.concat(peer.received).toString('latin1'), /SCRAM-SHA-256-PLUS\0.*p=tls-server-end-point/s)
})

test('a TLS handshake that fails is a refusal that says why', (t) => {
  const { owner, say, heard } = openHandshake(t, 'require')
  owner.handshake.start()
  heard()
  say('S')
  say('this is not TLS at all')
  assert.equal(owner.told.length, 1)
  assert.match(owner.told[0] ?? '', /^refused: .*wrong.version/i)
})

test("a refused login keeps the server's own words", (t) => {
  const { owner, say } = openHandshake(t, 'disable')
  owner.handshake.start()
  const fields = { severity: 'FATAL', sqlstate: '3D000', message: 'database "shop" does not exist' } as const
  say(write((writer) => messages.writeError(writer, fields)))
  assert.deepEqual(owner.told, ['refused: login failed: database "shop" does not exist (3D000)'])
})

test('a proof that the server asks for is sent', (t) => {
  const { owner, say, heard } = openHandshake(t, 'disable')
  owner.handshake.start()
  heard()
  say(write(messages.writeAuthenticationCleartext))
  assert.equal(heard(), 'p\0\0\0\x0bsecret\0')
})

test('a message that has come in part is left until the rest is there', (t) => {
  const { host, owner } = openHandshake(t, 'disable')
  owner.handshake.start()
  const at = READ_HEADROOM
  for (let length = 0; length < WELCOME.length; length++) {
    WELCOME.copy(host.inbound.bytes, at, 0, length)
    const used = owner.handshake.consume(at, at + length) - at
    assert.ok(used <= length)
    if (length < OK.length) assert.equal(used, 0)
    assert.deepEqual(owner.told, [])
    if (used > 0) return
  }
  assert.fail('not even the first message was used')
})

test('what follows the login is left to others', (t) => {
  const { owner, say } = openHandshake(t, 'disable')
  owner.handshake.start()
  say(Buffer.concat([WELCOME, OK]))
  assert.deepEqual([owner.told, owner.unused], [['logged in'], OK.length])
})

for (const length of [3, READ_HEADROOM]) {
  test(`a message of ${length} bytes is impossible during a login`, (t) => {
    const { owner, say } = openHandshake(t, 'disable')
    owner.handshake.start()
    const header = Buffer.from('S\0\0\0\0')
    header.writeInt32BE(length, 1)
    say(header)
    assert.deepEqual(owner.told, ['refused: the server sent an impossible message during login'])
    assert.equal(owner.unused, 0)
  })
}

test('a shard that is gone before the first word is lost', (t) => {
  const { host, owner, shard } = openHandshake(t, 'disable')
  shard.close()
  owner.handshake.start()
  host.deferred.run()
  assert.deepEqual(owner.told, ['lost: send: EPIPE'])
})
