import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority, writeCertificate, writeCredentials } from '../support/certificates.ts'
import type { Credentials } from '../support/postgres-cluster.ts'
import { CONSOLE, CONSOLE_USER, usersOf } from '../support/router-settings.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { type WireClient, WireError } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const authority = new CertificateAuthority('clients')
const stranger = new CertificateAuthority('strangers')
const files = temporaryDirectory()
const server = writeCredentials(
  files,
  'server',
  authority.issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] }),
)
const ca = writeCertificate(files, 'authority', authority.certificate)

const roles: Record<string, Credentials> = {}

/** One role for each method, and one rule for each role. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: async ({ cluster, role }) => {
    for (const name of ['md5', 'clear', 'certified', 'trusted', 'rejected', 'tlsOnly', 'unlisted']) {
      roles[name] = await cluster.createRole()
    }
    const users = Object.entries(roles).filter(([name]) => name !== 'unlisted')
    const rule = (name: string, type: string, method: string): Record<string, string> => ({
      type,
      user: roles[name]!.user,
      method,
      address: 'all',
    })
    return {
      users: usersOf([...users.map(([, listed]) => listed), role, CONSOLE]),
      client_tls: { mode: 'allow', certificate: server.certificate, key: server.key, ca },
      auth: {
        hba: [
          rule('md5', 'host', 'md5'),
          rule('clear', 'hostssl', 'password'),
          rule('certified', 'hostssl', 'cert'),
          { ...rule('trusted', 'host', 'trust'), address: '127.0.0.0/8' },
          rule('rejected', 'host', 'reject'),
          rule('rejected', 'host', 'scram-sha-256'),
          rule('tlsOnly', 'hostssl', 'scram-sha-256'),
          { type: 'host', user: [role.user, CONSOLE_USER], address: '10.0.0.0/8', method: 'reject' },
          { type: 'host', user: [role.user, CONSOLE_USER], method: 'scram-sha-256' },
        ],
      },
    }
  },
})

interface Attempt {
  /** The client asks for TLS; with a certificate of this name, by this authority. */
  readonly tls?: boolean
  readonly commonName?: string
  readonly issuer?: CertificateAuthority
  readonly password?: string
}

async function login(name: string, attempt: Attempt = {}): Promise<WireClient> {
  const role = roles[name]!
  const client = await bed.dial()
  if (attempt.tls === true) {
    const { commonName, issuer = authority } = attempt
    const shown = commonName === undefined ? null : issuer.issue({ commonName })
    await client.requestTls(shown === null ? {} : { cert: shown.certificate, key: shown.key })
  }
  await client.login({ user: role.user, password: attempt.password ?? role.password, database: bed.database })
  return client
}

async function refusal(attempt: Promise<WireClient>): Promise<WireError> {
  const error = await attempt.then(
    () => assert.fail('the login should have been refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof WireError, String(error))
  assert.equal(error.response.fields.S, 'FATAL')
  return error
}

async function userOf(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT session_user'))
}

test('md5: an old client gets in with its password', async () => {
  const client = await login('md5')
  assert.equal(client.authentication, 5)
  assert.equal(await userOf(client), roles.md5!.user)
})

test('md5: a wrong password is refused with 28P01', async () => {
  assert.equal((await refusal(login('md5', { password: 'wrong' }))).sqlstate, '28P01')
})

test('password: asked for in clear text over TLS', async () => {
  const client = await login('clear', { tls: true })
  assert.equal(client.authentication, 3)
  assert.equal(await userOf(client), roles.clear!.user)
})

test('password: a wrong one is refused with 28P01', async () => {
  assert.equal((await refusal(login('clear', { tls: true, password: 'wrong' }))).sqlstate, '28P01')
})

test('password: never asked for without TLS', async () => {
  const client = await bed.dial()
  await assert.rejects(client.login({ ...roles.clear!, database: bed.database }), { sqlstate: '28000' })
  assert.equal(client.authentication, 0)
})

test('cert: the certificate is the login, no password is asked for', async () => {
  const client = await login('certified', { tls: true, commonName: roles.certified!.user, password: 'not needed' })
  assert.equal(client.authentication, 0)
  assert.equal(await userOf(client), roles.certified!.user)
})

test('cert: the certificate of somebody else is refused', async () => {
  const { sqlstate, response } = await refusal(login('certified', { tls: true, commonName: 'somebody' }))
  assert.equal(sqlstate, '28000')
  assert.equal(response.fields.M, `certificate authentication failed for user "${roles.certified!.user}"`)
})

test('cert: without a certificate the login is refused', async () => {
  assert.equal((await refusal(login('certified', { tls: true }))).sqlstate, '28000')
})

test('cert: a certificate of an unknown authority does not get through', async () => {
  await assert.rejects(login('certified', { tls: true, commonName: roles.certified!.user, issuer: stranger }))
})

test('cert: an expired certificate does not get through', async () => {
  const client = await bed.dial()
  const expired = authority.issue({ commonName: roles.certified!.user, validDays: -1 })
  const attempt = async (): Promise<void> => {
    await client.requestTls({ cert: expired.certificate, key: expired.key })
    await client.login({ ...roles.certified!, database: bed.database })
  }
  await assert.rejects(attempt())
})

test('trust: from loopback, no password is asked for', async () => {
  const client = await login('trusted', { password: 'whatever' })
  assert.equal(client.authentication, 0)
  assert.equal(await userOf(client), roles.trusted!.user)
})

test('reject: the first rule that matches decides, even when a later one would let the client in', async () => {
  assert.equal((await refusal(login('rejected'))).sqlstate, '28000')
})

test('hostssl: the same user is refused without TLS and let in with it', async () => {
  assert.equal((await refusal(login('tlsOnly'))).sqlstate, '28000')
  assert.equal(await userOf(await login('tlsOnly', { tls: true })), roles.tlsOnly!.user)
})

test('a rule for another address does not count', async () => {
  assert.equal(await userOf(await bed.open()), bed.role.user)
})

test('a user whom no rule names is refused with 28000', async () => {
  assert.equal((await refusal(login('unlisted'))).sqlstate, '28000')
})

test('the refusal tells the client neither the rules nor which of them it was', async () => {
  const { M: message = '', D: detail, H: hint } = (await refusal(login('rejected'))).response.fields
  assert.doesNotMatch(`${message} ${detail ?? ''} ${hint ?? ''}`, /toml|rule \d|scram/i)
})
