import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { CertificateAuthority, writeCredentials } from '../support/certificates.ts'
import { CRASH_POINTS, crashAt, untilCrashed } from '../support/crash-points.ts'
import { committedBy, runLedger } from '../support/ledger-run.ts'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { repeats } from '../support/thoroughness.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const authority = new CertificateAuthority('routers')
const credentials = writeCredentials(
  temporaryDirectory(),
  'server',
  authority.issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] }),
)
/** TLS on both sides. */
const SETTINGS = {
  client_tls: { mode: 'allow', certificate: credentials.certificate, key: credentials.key },
  server_tls: { mode: 'require' },
}
const bed = await Testbed.open({ routerOnly: true, start: false })

const VERSIONS = [
  { minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' },
  { minVersion: 'TLSv1.3', maxVersion: 'TLSv1.3' },
] as const

async function open(router: RouterProcess, tls: object = {}): Promise<WireClient> {
  const client = bed.onClose(await WireClient.connect(router), (one) => one.close())
  await client.requestTls(tls)
  await client.login(bed.login)
  return client
}

for (const version of VERSIONS) {
  test(`${version.minVersion}: a session at rest, one in a transaction and one whose query runs go on`, async () => {
    const router = await bed.startRouter(SETTINGS)
    const [resting, begun, running] = await Promise.all([
      open(router, version),
      open(router, version),
      open(router, version),
    ])
    await resting.query("SET app.kept = 'yes'")
    await begun.query('BEGIN')
    const pid = onlyValue(await begun.query('SELECT pg_backend_pid()'))
    running.send(wire.query('SELECT 42 FROM pg_sleep(1), (SELECT 1 AS busy) b'))
    await waitUntil('the query to run', async () =>
      (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
    )
    await killPlane(router)
    assert.equal(onlyValue(await running.until('Z')), '42')
    assert.equal(onlyValue(await resting.query("SELECT current_setting('app.kept')")), 'yes')
    assert.equal(onlyValue(await begun.query('SELECT pg_backend_pid()')), pid)
    const [row] = rowsOf(await begun.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()'))
    assert.deepEqual(row, ['t'], 'the server connection has TLS too')
    assert.deepEqual(sqlstatesOf(await begun.query('COMMIT')), [])
  })

  test(`${version.minVersion}: money moves through crashes of the plane`, async () => {
    const router = await bed.startRouter(SETTINGS)
    const committed = await runLedger(bed, router, { mode: 'extended', clients: 8, tls: version }, async (clients) => {
      for (let round = 0; round < repeats(4); round += 1) {
        const before = committedBy(clients)
        await waitUntil('transactions', () => committedBy(clients) > before + 40)
        await killPlane(router)
      }
    })
    assert.ok(committed > 150)
  })
}

test('clients that ask for more than there are server connections while no plane is there are all answered', async () => {
  const router = await bed.startRouter({ ...SETTINGS, pool: { size: 2 } })
  const clients = await Promise.all(Array.from({ length: 40 }, () => open(router)))
  for (let round = 0; round < 3; round += 1) {
    const killed = killPlane(router)
    const answers = clients.map((client, at) => client.query(`SELECT ${at} FROM pg_sleep(0.01)`))
    await killed
    for (const [at, answer] of answers.entries()) assert.equal(onlyValue(await answer), String(at))
  }
})

for (const crash of CRASH_POINTS) {
  test(`each plane dies at its ${crash.every}th "${crash.point}": no record is lost, repeated or sealed under another number`, async () => {
    const router = await bed.startRouter(SETTINGS, crashAt(crash))
    await runLedger(bed, router, { mode: 'simple', clients: 8, tls: {} }, () => untilCrashed(router, repeats(3)))
  })
}

test('COPY out: every byte comes once, through several crashes', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  const rows = 200_000
  const expected = createHash('md5')
  for (let n = 1; n <= rows; n += 1) expected.update(`${n}\tsome text that is copied ${n}\n`)
  client.send(
    wire.query(`COPY (SELECT n, 'some text that is copied ' || n FROM generate_series(1, ${rows}) n) TO STDOUT`),
  )
  assert.equal((await client.next()).type, 'H')
  const seen = createHash('md5')
  let count = 0
  for (let message = await client.next(); message.type === 'd'; message = await client.next()) {
    seen.update(message.body)
    count += 1
    if (count % 60_000 === 0) await killPlane(router)
  }
  assert.deepEqual([count, seen.digest('hex')], [rows, expected.digest('hex')])
  await client.until('Z')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('client_tls.on_upgrade = "disconnect": keys stay inside of OpenSSL, and the connection ends', async () => {
  const client_tls = { ...SETTINGS.client_tls, on_upgrade: 'disconnect' }
  const router = await bed.startRouter({ ...SETTINGS, client_tls })
  const client = await open(router)
  await client.query('SELECT 1')
  await killPlane(router)
  await client.untilClosed()
})
