import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { join } from 'node:path'
import { test } from 'node:test'
import { buildScramVerifier, formatScramVerifier } from '../../src/auth/scram-verifier.ts'
import type { RouterProcess } from '../support/router-process.ts'
import type { RouterSettings } from '../support/router-settings.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'
import type { WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open({ start: false, routerOnly: true })

const METHODS = ['scram-sha-256', 'md5', 'password'] as const
const STRANGERS = ['nobody', 'root', 'postgres2', 'x', 'a user with blanks']

/** What a client that gives a wrong password is sent to the end; what is random, and the name, is left out. */
async function transcript(router: RouterProcess, user: string, method: string): Promise<string[]> {
  const client = await bed.dial(router)
  client.send(wire.startup({ user, database: method }))
  const seen: string[] = []
  const note = ({ type, body }: WireMessage): void => {
    const isMd5 = type === 'R' && body.readInt32BE(0) === 5
    const text = body.toString('latin1', 0, isMd5 ? 4 : body.length).replace(/r=[^,]*,s=[^,]*,/, mask)
    seen.push(
      `${type} ${text.replace(`"${user}"`, '"USER"')} (${body.length - (type === 'E' ? user.length : 0)} bytes)`,
    )
  }
  const asked = await client.next()
  note(asked)
  const kind = asked.body.readInt32BE(0)
  if (kind === 3) client.send(wire.password('wrong'))
  if (kind === 5) client.send(wire.password(`md5${'0'.repeat(32)}`))
  if (kind === 10) {
    client.send(wire.frame('p', wire.text('SCRAM-SHA-256'), wire.int32(10), 'n,,n=,r=ab'))
    const challenge = await client.next()
    note(challenge)
    const [, nonce] = /r=([^,]*),/.exec(challenge.body.toString('latin1')) ?? []
    client.send(wire.frame('p', `c=biws,r=${nonce},p=${Buffer.alloc(32, 3).toString('base64')}`))
  }
  const { messages, how } = await client.untilClosed()
  for (const message of messages) note(message)
  return [...seen, how]
}

/** Lengths say as much as the bytes would. */
function mask(text: string): string {
  return `NONCE AND SALT (${text.length}),`
}

/** The salt that a SCRAM login of this user shows. */
async function saltOf(router: RouterProcess, user: string): Promise<string | undefined> {
  const client = await bed.dial(router)
  client.send(wire.startup({ user, database: 'scram-sha-256' }))
  await client.next()
  client.send(wire.frame('p', wire.text('SCRAM-SHA-256'), wire.int32(10), 'n,,n=,r=ab'))
  return /s=([^,]*),/.exec((await client.next()).body.toString('latin1'))?.[1]
}

const md5 = (text: string): string => `md5${createHash('md5').update(text).digest('hex')}`
const verifier = (iterations: number): string =>
  formatScramVerifier(buildScramVerifier('secret', Buffer.alloc(16, 7), iterations))

const KINDS: Readonly<Record<string, readonly { readonly name: string; readonly password: string }[]>> = {
  'passwords in clear text': [{ name: 'ada', password: 'secret' }],
  'SCRAM verifiers': [{ name: 'ada', password: verifier(4096) }],
  'SCRAM verifiers with many iterations': [{ name: 'ada', password: verifier(20_000) }],
  'MD5 verifiers': [{ name: 'ada', password: md5('secretada') }],
}

/** Whom a router lets in by each method: the database that is asked for says which. */
const hba = METHODS.map((method) => ({ type: 'host', database: method, address: '127.0.0.0/8', method }))

const settingsFor = (users: RouterSettings['users']): RouterSettings => ({
  users: users ?? [],
  admin: { users: [] },
  auth: { hba },
})

for (const [title, users] of Object.entries(KINDS)) {
  test(`users with ${title}: a wrong password and an unknown user are told the same, byte by byte`, async () => {
    const router = await bed.startRouter(settingsFor(users))
    for (const method of METHODS) {
      const known = await transcript(router, 'ada', method)
      assert.match(known.at(-2) ?? '', /28P01\0Mpassword authentication failed for user "USER"/)
      for (const stranger of STRANGERS) assert.deepEqual(await transcript(router, stranger, method), known, method)
    }
  })
}

test('users that are found on the shard: a wrong password and an unknown user are told the same', async () => {
  const { user, password } = bed.cluster.superuser
  const router = await bed.startRouter({
    ...settingsFor([]),
    auth: {
      hba,
      query: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1',
      query_user: user,
      query_password: password,
      query_database: bed.database,
    },
  })
  for (const method of METHODS) {
    const known = await transcript(router, bed.role.user, method)
    assert.match(known.at(-2) ?? '', /28P01/)
    for (const stranger of STRANGERS) assert.deepEqual(await transcript(router, stranger, method), known, method)
  }
})

test('the salts of users and of strangers both outlive a restart of the router', async () => {
  const env = { SWITCHYARD_DATA: join(temporaryDirectory(), 'data') }
  const settings = settingsFor([{ name: 'ada', password: 'secret' }])
  const first = await bed.startRouter(settings, { env })
  const names = ['ada', ...STRANGERS]
  const salts = await Promise.all(names.map((name) => saltOf(first, name)))
  assert.equal(new Set(salts).size, names.length)
  await first.stop()
  const second = await bed.startRouter(settings, { env })
  assert.deepEqual(await Promise.all(names.map((name) => saltOf(second, name))), salts)
})
