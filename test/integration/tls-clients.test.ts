import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority, writeCertificate, writeCredentials } from '../support/certificates.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const files = temporaryDirectory()
const authority = new CertificateAuthority('routers')
const server = writeCredentials(
  files,
  'server',
  authority.issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] }),
)
writeCertificate(files, 'authority', authority.certificate)

const bed = await Testbed.open({
  settings: { client_tls: { mode: 'allow', certificate: server.certificate, key: server.key } },
})
const ca = isDirect ? bed.cluster.coordinates.authority : authority.certificate

test('an SSLRequest is answered with S, and the session goes on over TLS', async () => {
  const client = await bed.dial()
  assert.equal(await client.requestTls(), 'S')
  await client.login(bed.login)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a client that does not ask for TLS gets in without it', async () => {
  const client = await bed.open()
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('GSSENC is refused first, then TLS is granted', async () => {
  const client = await bed.dial()
  client.send(wire.GSSENC_REQUEST)
  assert.equal((await client.raw(1)).toString(), 'N')
  assert.equal(await client.requestTls(), 'S')
  await client.login(bed.login)
})

for (const version of ['TLSv1.2', 'TLSv1.3'] as const) {
  test(`${version} is spoken, and the certificate passes a full check`, async () => {
    const client = await bed.dial()
    const host = { servername: 'localhost', minVersion: version, maxVersion: version }
    await client.requestTls({ ca, rejectUnauthorized: true, ...host })
    assert.equal(client.tls.getProtocol(), version)
    await client.login(bed.login)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  })
}

test('TLS from the first byte works with the ALPN name of PostgreSQL', async () => {
  const client = await bed.dial()
  await client.startTls({ ALPNProtocols: ['postgresql'] })
  assert.equal(client.tls.alpnProtocol, 'postgresql')
  await client.login(bed.login)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

for (const [what, ALPNProtocols] of [
  ['without ALPN', undefined],
  ['for HTTP', ['http/1.1']],
] as const) {
  test(`TLS from the first byte ${what} is refused: it may be a request for another service`, async () => {
    const client = await bed.dial()
    const attempt = async (): Promise<void> => {
      await client.startTls(ALPNProtocols === undefined ? {} : { ALPNProtocols: [...ALPNProtocols] })
      await client.login(bed.login)
    }
    await assert.rejects(attempt())
  })
}

test('bytes sent in plain text behind an SSLRequest are never taken for a part of the session', async () => {
  const client = await bed.dial()
  client.send(wire.SSL_REQUEST, wire.startup({ user: 'mallory', database: bed.database }))
  const attempt = async (): Promise<void> => {
    if ((await client.raw(1)).toString() !== 'S') throw new Error('refused')
    await client.startTls()
    await client.login(bed.login)
  }
  await assert.rejects(attempt())
})

test('a second SSLRequest inside of TLS is refused', async () => {
  const client = await bed.dial()
  await client.requestTls()
  client.send(wire.SSL_REQUEST)
  const { messages } = await client.untilClosed()
  assert.equal(messages[0]?.fields.S, 'FATAL')
})

test('garbage instead of a handshake ends the connection', async () => {
  const client = await bed.dial()
  client.send(wire.SSL_REQUEST)
  assert.equal((await client.raw(1)).toString(), 'S')
  client.send(Buffer.alloc(300, 0x42))
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  await assert.rejects(client.raw(1000))
})

test('SCRAM is bound to the TLS channel when the client wants it', async () => {
  const client = await bed.dial()
  await client.requestTls()
  await client.login({ ...bed.login, bindChannel: true })
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('node-postgres binds the channel and checks the certificate', async () => {
  const client = await bed.connectPg({ ssl: { ca, servername: 'localhost' }, enableChannelBinding: true })
  const { rows } = await client.query('SELECT 1 AS one')
  assert.deepEqual(rows, [{ one: 1 }])
})

test('a client that claims we did not offer channel binding is refused: somebody took the offer away', async () => {
  const client = await bed.dial()
  await client.requestTls()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  assert.equal((await client.next()).type, 'R')
  const first = 'y,,n=,r=clientnonce'
  client.send(wire.frame('p', wire.text('SCRAM-SHA-256'), wire.int32(first.length), first))
  const { messages } = await client.untilClosed()
  assert.equal(messages[0]?.type, 'E', messages.join(' '))
})

test('a channel bound to another certificate is refused', async () => {
  const other = authority.issue({ commonName: 'man in the middle' })
  const client = await bed.dial()
  await client.requestTls()
  const real = client.tls.getPeerCertificate
  const der = Buffer.from(other.certificate.replace(/-----[^-]+-----|\s/g, ''), 'base64')
  client.tls.getPeerCertificate = ((detailed: boolean) => ({
    ...real.call(client.tls, detailed),
    raw: der,
  })) as typeof real
  await assert.rejects(client.login({ ...bed.login, bindChannel: true }), (error) => error instanceof WireError)
})

test('a cancel request over TLS reaches its query, as libpq 17 sends it', async () => {
  const client = await bed.dial()
  await client.requestTls()
  await client.login(bed.login)
  client.send(wire.query('SELECT pg_sleep(30)'))
  await waitUntil('the query to run', async () => {
    return (await bed.cluster.backends(bed.database)).some((backend) => backend.state === 'active')
  })
  const request = await bed.dial()
  await request.requestTls()
  request.send(wire.cancelRequest(client.cancelPid, client.cancelKey))
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
  await request.untilClosed()
})

test('many rows and long values go through TLS unharmed, in both directions', async () => {
  const client = await bed.dial()
  await client.requestTls()
  await client.login(bed.login)
  const rows = rowsOf(await client.query('SELECT repeat(md5(i::text), 100) FROM generate_series(1, 2000) i'))
  assert.equal(rows.length, 2000)
  assert.ok(rows.every(([value]) => value?.length === 3200))
  const sent = 'x'.repeat(3 << 20)
  const answer = await client.exchange(wire.extendedQuery('SELECT length($1::text)', [sent]))
  assert.equal(onlyValue(answer), String(sent.length))
})

test('a client that falls silent in the middle of the handshake is let go after the login timeout', {
  skip: isDirect && 'of the router',
}, async () => {
  const router = await bed.startRouter({
    client_tls: { mode: 'allow', certificate: server.certificate, key: server.key },
    timeouts: { client_login: '1s' },
  })
  for (const hello of [Buffer.alloc(0), Buffer.from([0x16, 3, 1, 1, 0, 1, 0])]) {
    const client = await bed.dial(router)
    client.send(wire.SSL_REQUEST)
    assert.equal((await client.raw(1)).toString(), 'S')
    client.send(hello)
    const started = performance.now()
    await waitUntil('the end of the connection', async () => client.ending !== null)
    assert.ok(performance.now() - started >= 900, 'closed too early')
  }
})

test('a client that breaks off in the middle of the handshake leaves nothing behind', async () => {
  for (let n = 0; n < 20; n += 1) {
    const client = await bed.dial()
    client.send(wire.SSL_REQUEST)
    await client.raw(1)
    client.send(Buffer.from('16030100', 'hex'))
    if (n % 2 === 0) client.reset()
    else client.close()
  }
})
