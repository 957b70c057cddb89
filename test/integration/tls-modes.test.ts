import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { test } from 'node:test'
import { CertificateAuthority, writeCertificate, writeCredentials } from '../support/certificates.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const files = temporaryDirectory()
const authority = new CertificateAuthority('routers and clients')
const issue = (commonName: string) => authority.issue({ commonName, names: ['localhost', '127.0.0.1'] })
const ca = writeCertificate(files, 'authority', authority.certificate)
const bed = await Testbed.open({ routerOnly: true, start: false })

/** A router with a certificate of its own, and `[client_tls]` like this. */
async function startWith(name: string, tls: Record<string, string>): Promise<RouterProcess> {
  const own = writeCredentials(files, name, issue(name))
  return await bed.startRouter({ client_tls: { certificate: own.certificate, key: own.key, ...tls } })
}

async function loginOverTls(router: RouterProcess, options: Parameters<WireClient['requestTls']>[0] = {}) {
  const client = await bed.dial(router)
  assert.equal(await client.requestTls(options), 'S')
  await client.login(bed.login)
  return client
}

async function commonNameOf(router: RouterProcess): Promise<string> {
  const client = await bed.dial(router)
  await client.requestTls()
  const name = client.tls.getPeerCertificate().subject.CN
  client.close()
  return String(name)
}

test('require: who does not ask for TLS is refused with a reason, who does gets in', async () => {
  const router = await startWith('required', { mode: 'require' })
  const plain = await bed.dial(router)
  await assert.rejects(plain.login(bed.login), /FATAL .*(SSL|TLS)/)
  assert.equal(onlyValue(await (await loginOverTls(router)).query('SELECT 1')), '1')
})

test('min_version: TLS 1.2 is refused where 1.3 is the oldest allowed', async () => {
  const router = await startWith('newest', { mode: 'require', min_version: 'TLSv1.3' })
  await assert.rejects(loginOverTls(router, { maxVersion: 'TLSv1.2' }))
  await loginOverTls(router, { minVersion: 'TLSv1.3' })
})

test('verify-full: only a certificate in the name of the user gets in', async () => {
  const router = await startWith('strict', { mode: 'verify-full', ca })
  const own = authority.issue({ commonName: bed.role.user })
  const other = authority.issue({ commonName: 'somebody' })
  const foreign = new CertificateAuthority('strangers').issue({ commonName: bed.role.user })
  const client = await loginOverTls(router, { cert: own.certificate, key: own.key })
  assert.equal(onlyValue(await client.query('SELECT session_user')), bed.role.user)
  await assert.rejects(loginOverTls(router, { cert: other.certificate, key: other.key }), 'of somebody else')
  await assert.rejects(loginOverTls(router, { cert: foreign.certificate, key: foreign.key }), 'of another authority')
  await assert.rejects(loginOverTls(router), 'without certificate')
})

test('verify-ca: any certificate of the authority gets in, none and foreign ones do not', async () => {
  const router = await startWith('checked', { mode: 'verify-ca', ca })
  const other = authority.issue({ commonName: 'somebody' })
  const foreign = new CertificateAuthority('strangers').issue({ commonName: 'somebody' })
  await loginOverTls(router, { cert: other.certificate, key: other.key })
  await assert.rejects(loginOverTls(router, { cert: foreign.certificate, key: foreign.key }), 'of another authority')
  await assert.rejects(loginOverTls(router), 'without certificate')
})

test('a new certificate is shown after SIGHUP, and sessions under the old one go on', async () => {
  const router = await startWith('before', { mode: 'allow' })
  const client = await loginOverTls(router)
  assert.equal(await commonNameOf(router), 'before')
  writeCredentials(files, 'before', issue('after'))
  router.signal('SIGHUP')
  await waitUntil('the new certificate', async () => (await commonNameOf(router)) === 'after')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a broken certificate changes nothing, and the log says what is wrong with which file', async () => {
  const router = await startWith('kept', { mode: 'allow' })
  const file = `${files}/kept.crt`
  writeFileSync(file, 'not a certificate')
  router.signal('SIGHUP')
  await waitUntil('a word about the file in the log', () => router.log.some((line) => line.includes('kept.crt')))
  assert.equal(await commonNameOf(router), 'kept')
  await loginOverTls(router)
})

test('a key that does not belong to the certificate changes nothing', async () => {
  const router = await startWith('matched', { mode: 'allow' })
  writeFileSync(`${files}/matched.key`, issue('other').key)
  const before = router.log.length
  router.signal('SIGHUP')
  await waitUntil('a word about the key', () => router.log.slice(before).some((line) => line.includes('matched')))
  assert.equal(await commonNameOf(router), 'matched')
  await loginOverTls(router)
})
