import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CONSOLE_PASSWORD, CONSOLE_USER } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { WireError } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

/** The router is given the stored verifier of the role, never its password. */
const bed = await Testbed.open({
  routerOnly: true,
  settings: async ({ cluster, role }) => ({
    users: [
      { name: role.user, password: await cluster.storedPassword(role.user) },
      { name: CONSOLE_USER, password: CONSOLE_PASSWORD },
    ],
  }),
})

test('with nothing but the verifier, the client is checked and the shard reached in its name', async () => {
  assert.match(await bed.cluster.storedPassword(bed.role.user), /^SCRAM-SHA-256\$/)
  const client = await bed.open()
  assert.equal(onlyValue(await client.query('SELECT session_user')), bed.role.user)
})

test('many clients at once open as many server connections as they need', async () => {
  const clients = await bed.openMany(10)
  const pids = await Promise.all(
    clients.map(async (client) => onlyValue(await client.query('SELECT pg_backend_pid() FROM pg_sleep(0.2)'))),
  )
  assert.ok(new Set(pids).size > 1, `all on backend ${pids[0]}`)
})

test('a wrong password is refused with 28P01', async () => {
  await assert.rejects(
    bed.open({ password: 'wrong' }),
    (error) => error instanceof WireError && error.sqlstate === '28P01',
  )
})

test('a new server connection is opened after RECONNECT without another login of the client', async () => {
  const client = await bed.open()
  const before = onlyValue(await client.query('SELECT pg_backend_pid()'))
  await bed.console.query('RECONNECT')
  const after = onlyValue(await client.query('SELECT pg_backend_pid()'))
  assert.notEqual(after, before)
})

test('the password may not be replaced by the verifier itself', async () => {
  const verifier = await bed.cluster.storedPassword(bed.role.user)
  await assert.rejects(bed.open({ password: verifier }), WireError)
})

test('neither password nor verifier is in the log, the console or the metrics', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  const verifier = await bed.cluster.storedPassword(bed.role.user)
  const shown = [
    bed.router.tail(5_000),
    JSON.stringify(await bed.show('CONFIG')),
    JSON.stringify(await bed.show('USERS')),
    await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text(),
  ].join('\n')
  const storedKey = verifier.split('$').at(-1)!
  for (const secret of [bed.role.password, storedKey, CONSOLE_PASSWORD]) {
    assert.ok(!shown.includes(secret), `${secret} is shown`)
  }
})
