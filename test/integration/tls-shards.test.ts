import assert from 'node:assert/strict'
import { type AddressInfo, connect, createServer } from 'node:net'
import { test } from 'node:test'
import { CertificateAuthority, writeCertificate } from '../support/certificates.ts'
import { FakeServer } from '../support/fake-server.ts'
import { FaultProxy } from '../support/fault-proxy.ts'
import type { RouterSettings } from '../support/router-settings.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, WireClient } from '../support/wire-client.ts'
import { query } from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const files = temporaryDirectory()
const bed = await Testbed.open({ routerOnly: true, start: false })
const ca = writeCertificate(files, 'shards', bed.cluster.coordinates.authority)
const foreign = writeCertificate(files, 'foreign', new CertificateAuthority('strangers').certificate)

/** TLS version of the server connection of a fresh client, or null; from PostgreSQL's point of view. */
async function tlsOfServer(changes: RouterSettings): Promise<string | null> {
  const router = await bed.startRouter(changes)
  const client = bed.onClose(await WireClient.open(router, bed.login), (opened) => opened.close())
  const [row] = rowsOf(await client.query('SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))
  return row?.[0] === 't' ? (row[1] ?? null) : null
}

/** SQLSTATE that a client sees whose shard cannot be reached under these settings, at login or at its first query. */
async function failureOf(changes: RouterSettings): Promise<{ sqlstate: string; log: string }> {
  const router = await bed.startRouter({ timeouts: { query_wait: '1s', drain: '1s' }, ...changes })
  const client = await bed.dial(router)
  try {
    await client.login(bed.login)
    const answer = await client.query('SELECT 1')
    return { sqlstate: sqlstatesOf(answer)[0] ?? 'none', log: router.tail(2000) }
  } catch (error) {
    return { sqlstate: (error as { sqlstate?: string }).sqlstate ?? String(error), log: router.tail(2000) }
  }
}

function shardAt(host: string, port = bed.shard.port): RouterSettings {
  return { shards: [{ name: 'one', host, port }] }
}

test('prefer: a shard that offers TLS is spoken to over TLS', async () => {
  assert.match((await tlsOfServer({ server_tls: { mode: 'prefer' } })) ?? 'none', /^TLSv1\.[23]$/)
})

test('disable: TLS is not asked for', async () => {
  assert.equal(await tlsOfServer({ server_tls: { mode: 'disable' } }), null)
})

test('verify-ca: the right authority is enough', async () => {
  assert.match((await tlsOfServer({ server_tls: { mode: 'verify-ca', ca } })) ?? 'none', /^TLS/)
})

test('verify-full: the certificate names the host as configured, by address or by name', async () => {
  assert.match((await tlsOfServer({ server_tls: { mode: 'verify-full', ca } })) ?? 'none', /^TLS/)
  assert.match(
    (await tlsOfServer({ ...shardAt('localhost'), server_tls: { mode: 'verify-full', ca } })) ?? 'none',
    /^TLS/,
  )
})

test('verify-full: a certificate for another name is refused, and the log says why', async () => {
  const elsewhere = bed.onClose(await FaultProxy.start(bed.shard, '127.0.0.2'), (proxy) => proxy.close())
  const settings = shardAt(elsewhere.host, elsewhere.port)
  const { sqlstate, log } = await failureOf({ ...settings, server_tls: { mode: 'verify-full', ca } })
  assert.match(sqlstate, /^(08|57|53)/)
  assert.match(log, /certificate/i)
})

test('verify-ca: a certificate of another authority is refused, and the log says why', async () => {
  const { sqlstate, log } = await failureOf({ server_tls: { mode: 'verify-ca', ca: foreign } })
  assert.match(sqlstate, /^(08|57|53)/)
  assert.match(log, /certificate/i)
})

for (const mode of ['prefer', 'require'] as const) {
  test(`${mode}: a shard that refuses TLS ${mode === 'prefer' ? 'is spoken to without' : 'is not used'}`, async () => {
    const { primary, superuser } = bed.cluster
    const shard = await FakeServer.start({
      probes: { user: superuser.user, server: primary },
      serve: async (peer) => {
        peer.acceptLogin()
        await peer.answerQueries(() => 'in plain text')
      },
    })
    bed.onClose(shard, () => shard.close())
    const router = await bed.startRouter({
      shards: [{ name: 'plain', host: shard.host, port: shard.port }],
      server_tls: { mode },
      timeouts: { query_wait: '1s', drain: '1s' },
    })
    const attempt = async (): Promise<string | null> => {
      const client = bed.onClose(await WireClient.open(router, bed.login), (opened) => opened.close())
      const answer = await client.query('SELECT 1')
      return sqlstatesOf(answer)[0] ?? onlyValue(answer)
    }
    if (mode === 'prefer') assert.equal(await attempt(), 'in plain text')
    else assert.match((await attempt().catch((error) => String(error.sqlstate))) ?? '', /^(08|57|53)/)
    if (mode === 'require') assert.equal(shard.peers.length, 0)
  })
}

/** What is said first on each connection that goes through, up to 16 bytes. */
async function eavesdrop(): Promise<{ readonly port: number; readonly openings: readonly Buffer[] }> {
  const openings: Buffer[] = []
  const server = createServer((near) => {
    const at = openings.push(Buffer.alloc(0)) - 1
    near.on('data', (bytes) => {
      openings[at] = Buffer.concat([openings[at] as Buffer, bytes]).subarray(0, 16)
    })
    const far = connect(bed.shard.port, bed.shard.host)
    for (const socket of [near, far]) socket.on('error', () => {})
    near.pipe(far).pipe(near)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  bed.onClose(server, () => server.close())
  return { port: (server.address() as AddressInfo).port, openings }
}

test('cancel requests are encrypted as the connections are: nobody on the way learns a key', async () => {
  const { port, openings } = await eavesdrop()
  const router = await bed.startRouter({ ...shardAt('localhost', port), server_tls: { mode: 'verify-full', ca } })
  const client = bed.onClose(await WireClient.open(router, bed.login), (opened) => opened.close())
  client.send(query('SELECT pg_sleep(60) /* cancelled over TLS */'))
  const isRunning = `SELECT 1 FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%cancelled over T' || 'LS%'`
  await waitUntil('it to run', async () => (await bed.sql(isRunning)).length === 1)
  const before = openings.length
  await sendCancel(router, client.cancelPid, client.cancelKey)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
  assert.ok(openings.length > before)
  // TLS request, and behind it nothing but a handshake.
  for (const opening of openings) assert.match(opening.toString('hex'), /^0000000804d2162f(16|$)/)
})

test('large results come through TLS from the shard unharmed', async () => {
  const router = await bed.startRouter({ server_tls: { mode: 'require' } })
  const client = bed.onClose(await WireClient.open(router, bed.login), (opened) => opened.close())
  const answer = await client.query('SELECT repeat(i::text, 1000) FROM generate_series(1000, 4999) i')
  const rows = rowsOf(answer)
  assert.equal(rows.length, 4000)
  rows.forEach(([value], at) => {
    assert.equal(value, String(1000 + at).repeat(1000))
  })
})
