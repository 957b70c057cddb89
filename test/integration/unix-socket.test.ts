import assert from 'node:assert/strict'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { Testbed } from '../support/testbed.ts'
import { sendCancel, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const directory = temporaryDirectory()
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ role }) => ({
    listen: { unix_socket_directory: directory, unix_socket_mode: '0770' },
    auth: {
      hba: [
        { type: 'local', user: role.user, method: 'trust' },
        { type: 'host', method: 'scram-sha-256' },
      ],
    },
  }),
})
const address = { host: directory, port: bed.router.port }
const socket = join(directory, `.s.PGSQL.${bed.router.port}`)

async function open(): Promise<WireClient> {
  const { user } = bed.role
  return bed.onClose(await WireClient.open(address, { user, database: bed.database }), (client) => client.close())
}

test('clients get in through the Unix socket, under the rules of type local', async () => {
  const client = await open()
  assert.equal(client.authentication, 0)
  assert.equal(onlyValue(await client.query('SELECT session_user')), bed.role.user)
  const row = (await bed.show('CLIENTS')).find((shown) => shown.user === bed.role.user)
  assert.equal(row?.addr, 'unix')
})

test('the socket has the configured permissions', () => {
  assert.equal(statSync(socket).mode & 0o777, 0o770)
})

test('the same user needs a password over TCP', async () => {
  await assert.rejects(bed.open({ password: 'wrong' }), { sqlstate: '28P01' })
})

test('TLS is not offered on a Unix socket', async () => {
  const client = bed.onClose(await WireClient.connect(address), (opened) => opened.close())
  assert.equal(await client.requestTls(), 'N')
})

test('node-postgres connects by the directory', async () => {
  const client = await bed.connectPg({ host: directory })
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
})

test('cancel requests come through it, too', async () => {
  const client = await open()
  client.send(wire.query('SELECT pg_sleep(30)'))
  await new Promise((resolve) => setTimeout(resolve, 200))
  await sendCancel(address, client.cancelPid, client.cancelKey)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
})

test('many rows go through it', async () => {
  const client = await open()
  const answer = await client.query(`SELECT repeat('u', 1000) FROM generate_series(1, 5000)`)
  assert.equal(answer.filter((message) => message.type === 'D').length, 5000)
})

test('a client that is killed leaves nothing', async () => {
  const client = await open()
  await client.query('BEGIN')
  client.close()
})

test('the socket is removed at the end', async () => {
  const own = temporaryDirectory()
  const router = await bed.startRouter({ listen: { unix_socket_directory: own } })
  const path = join(own, `.s.PGSQL.${router.port}`)
  assert.ok(existsSync(path))
  router.signal('SIGTERM')
  await router.exited
  assert.ok(!existsSync(path))
})
