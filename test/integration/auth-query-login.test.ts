import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credentials } from '../support/postgres-cluster.ts'
import { CONSOLE, usersOf } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireError } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

/** The role of the file is not listed: like all others here it is found on the shard. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ cluster }) => ({
    users: usersOf([CONSOLE]),
    auth: {
      query: 'SELECT rolname, rolpassword FROM pg_authid WHERE rolname = $1 AND rolcanlogin',
      query_user: cluster.superuser.user,
      query_password: cluster.superuser.password,
      cache: '1h',
    },
  }),
})

async function refused(login: { user: string; password: string; parameters?: Record<string, string> }) {
  const error = await bed.open(login).then(
    () => assert.fail('the login should have been refused'),
    (reason: unknown) => reason,
  )
  assert.ok(error instanceof WireError, String(error))
  return error
}

async function userOf(role: Credentials): Promise<string | null> {
  const client = await bed.open(role)
  const user = onlyValue(await client.query('SELECT session_user'))
  await client.goodbye()
  return user
}

test('a user who is not listed is found on the shard, and reaches it with the proof of the password alone', async () => {
  assert.equal(await userOf(bed.role), bed.role.user)
})

test('a wrong password of such a user and an unknown user are refused alike', async () => {
  const wrong = await refused({ user: bed.role.user, password: 'wrong' })
  const unknown = await refused({ user: 'nobody_at_all', password: 'wrong' })
  assert.equal(wrong.sqlstate, '28P01')
  assert.equal(unknown.message.replace('nobody_at_all', bed.role.user), wrong.message)
})

test('a role that may not log in is refused like one that is not there', async () => {
  const role = await bed.cluster.createRole()
  await bed.cluster.sql(`ALTER ROLE ${role.user} NOLOGIN`)
  assert.equal((await refused(role)).sqlstate, '28P01')
})

test('a changed password counts at once although answers are kept: the first failure asks anew', async () => {
  const role = await bed.cluster.createRole()
  assert.equal(await userOf(role), role.user)
  await bed.cluster.sql(`ALTER ROLE ${role.user} PASSWORD 'the new one'`)
  const changed = { ...role, password: 'the new one' }
  await waitUntil('the new password to count', async () => (await userOf(changed)) === role.user, { timeoutMs: 3_000 })
  assert.equal((await refused(role)).sqlstate, '28P01')
})

test('a user made after a first, refused attempt gets in', async () => {
  const role = await bed.cluster.createRole()
  await bed.cluster.sql(`ALTER ROLE ${role.user} RENAME TO ${role.user}_later`)
  assert.equal((await refused(role)).sqlstate, '28P01')
  await bed.cluster.sql(`ALTER ROLE ${role.user}_later RENAME TO ${role.user}`)
  await waitUntil('the new user to get in', async () => (await userOf(role)) === role.user, { timeoutMs: 3_000 })
})

test('a dropped role reaches no data, although its verifier may still be known', async () => {
  const role = await bed.cluster.createRole()
  assert.equal(await userOf(role), role.user)
  await bed.console.query('RECONNECT')
  await bed.cluster.sql(`DROP ROLE ${role.user}`)
  await assert.rejects(userOf(role))
})

test('a quote in a user name is data, not SQL', async () => {
  const error = await refused({ user: `x' OR rolname='${bed.role.user}`, password: bed.role.password })
  assert.equal(error.sqlstate, '28P01')
})

test('what a client asks for at startup never reaches the connection that looks it up', async () => {
  // With a search_path of the client's, our query would read the client's table: and log anybody in as anybody.
  const forger = await bed.cluster.createRole({ password: 'forged' })
  const victim = await bed.cluster.createRole()
  await bed.sql('CREATE SCHEMA evil; CREATE TABLE evil.pg_authid (rolname text, rolpassword text, rolcanlogin bool)')
  await bed.sql('GRANT USAGE ON SCHEMA evil TO PUBLIC; GRANT SELECT ON evil.pg_authid TO PUBLIC')
  await bed.sql('INSERT INTO evil.pg_authid VALUES ($1, $2, true)', [
    victim.user,
    await bed.cluster.storedPassword(forger.user),
  ])
  for (const parameters of [
    { search_path: 'evil, pg_catalog' },
    { options: '-c search_path=evil,pg_catalog' },
    { options: '--search_path=evil,pg_catalog' },
  ]) {
    assert.equal((await refused({ user: victim.user, password: 'forged', parameters })).sqlstate, '28P01')
  }
  assert.equal(await userOf(victim), victim.user)
})
