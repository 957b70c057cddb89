import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Credentials } from '../support/postgres-cluster.ts'
import { CONSOLE, CONSOLE_USER, usersOf } from '../support/router-settings.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const MAX_CLIENTS = 30
/** The console that the file keeps open is a client, too. */
const ROOM = MAX_CLIENTS - 1
const second: Credentials[] = []

const bed = await Testbed.open({
  routerOnly: true,
  settings: async (testbed) => {
    const { cluster, database, role } = testbed
    second.push(await cluster.createRole())
    return {
      shards: [{ name: 'one', ...cluster.primary, max_connections: 6 }],
      pool: { size: 5, max_user_connections: 4 },
      limits: { max_clients: MAX_CLIENTS },
      timeouts: { server_idle: '800ms', server_lifetime: '1500ms', query_wait: '10s' },
      users: [
        ...(usersOf([role, CONSOLE]) as { name: string; password: string }[]),
        { name: second[0]!.user, password: second[0]!.password, max_clients: 2, pool_size: 3 },
      ],
      databases: {
        [database]: {},
        few: { name: database, max_clients: 3 },
        lasting: { name: database, min_pool_size: 1 },
      },
    }
  },
})

const stranger = second[0]!

async function backends(user?: string): Promise<number> {
  const all = await bed.cluster.backends(bed.database)
  return all.filter((backend) => user === undefined || backend.usename === user).length
}

function isTooMany(error: unknown): boolean {
  return error instanceof WireError && error.sqlstate === '53300' && error.response.fields.S === 'FATAL'
}

/** Runs one short query on each of many clients of a user at the same time; returns the most backends seen. */
async function mostBackends(user: Credentials, database: string, clientCount: number): Promise<number> {
  const clients = await bed.openMany(clientCount, { ...user, database })
  let running = true
  let most = 0
  const watching = (async () => {
    while (running) most = Math.max(most, await backends(user.user))
  })()
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.1)')))
  running = false
  await watching
  return most
}

test('a user never has more server connections than max_user_connections', async () => {
  const most = await mostBackends(bed.role, bed.database, 12)
  assert.ok(most <= 4, `${most} backends`)
  assert.ok(most >= 2, 'they were not used at the same time')
})

test('a shard never has more server connections than its max_connections, whoever wants them', async () => {
  const [mine, theirs] = [await bed.openMany(8), await bed.openMany(2, stranger)]
  let most = 0
  const all = [...mine, ...theirs].map((client) => client.query('SELECT pg_sleep(0.3)'))
  const watching = waitUntil('all server connections to be open', async () => {
    most = Math.max(most, await backends())
    return most >= 6
  }).catch(() => {})
  for (const answer of await Promise.all(all)) assert.deepEqual(sqlstatesOf(answer), [])
  await watching
  assert.ok(most <= 6, `${most} backends`)
})

test('idle server connections of one pool make room for another that needs them', async () => {
  await Promise.all((await bed.openMany(4)).map((client) => client.query('SELECT pg_sleep(0.2)')))
  const others = await bed.openMany(2, { ...stranger })
  const few = await bed.openMany(3, { database: 'few' })
  const answers = await Promise.all([...others, ...few].map((client) => client.query('SELECT 1 FROM pg_sleep(0.2)')))
  for (const answer of answers) assert.equal(onlyValue(answer), '1')
})

test('an idle server connection is closed after its time', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  await waitUntil('the server connection to be closed', async () => (await backends()) === 0)
  assert.equal(onlyValue(await client.query('SELECT 2')), '2')
})

test('a server connection that is used all the time is replaced when it is old', async () => {
  const client = await bed.open()
  const pid = async (): Promise<string | null> => onlyValue(await client.query('SELECT pg_backend_pid()'))
  const first = await pid()
  await waitUntil('another server connection', async () => (await pid()) !== first, { everyMs: 50 })
})

test('an old server connection is not taken away in the middle of a transaction', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  const pid = onlyValue(await client.query('SELECT pg_backend_pid()'))
  await client.query('SELECT pg_sleep(2)')
  assert.equal(onlyValue(await client.query('SELECT pg_backend_pid()')), pid)
  await client.query('COMMIT')
})

test('the least number of server connections outlives the idle time', async () => {
  const client = await bed.open({ database: 'lasting' })
  await client.query('SELECT 1')
  await client.query('SELECT pg_sleep(1.2)')
  assert.ok((await backends()) >= 1)
})

test('a client beyond max_clients is refused with 53300, and gets in when another has left', async () => {
  const clients = await bed.openMany(ROOM)
  await assert.rejects(bed.open(), isTooMany)
  await clients[0]!.goodbye()
  await waitUntil('a free place', async () => {
    const client = await bed.open()
    return onlyValue(await client.query('SELECT 1')) === '1'
  })
})

test('an admin user reaches the console although max_clients are connected', async () => {
  await bed.openMany(ROOM)
  const console = await openConsole(bed.router)
  const { rows } = await console.query('SHOW CLIENTS')
  await console.end()
  assert.ok(rows.length >= MAX_CLIENTS)
  assert.ok(rows.some((row) => row.user === CONSOLE_USER))
})

test('a user beyond its own limit of clients is refused, others are not', async () => {
  await bed.openMany(2, stranger)
  await assert.rejects(bed.open(stranger), isTooMany)
  assert.equal(onlyValue(await (await bed.open()).query('SELECT 1')), '1')
})

test('a database beyond its own limit of clients refuses, others do not', async () => {
  await bed.openMany(3, { database: 'few' })
  await assert.rejects(bed.open({ database: 'few' }), isTooMany)
  assert.equal(onlyValue(await (await bed.open()).query('SELECT 1')), '1')
})

test('a refused login does not count against the limit', async () => {
  for (let attempt = 0; attempt < 20; attempt += 1) await assert.rejects(bed.open({ ...stranger, password: 'wrong' }))
  await bed.openMany(2, stranger)
})

test('cancel requests get through although max_clients are connected', async () => {
  const [busy] = await bed.openMany(ROOM)
  busy!.send(wire.query('SELECT pg_sleep(30)'))
  await waitUntil('the query to run', async () => (await backends()) === 1)
  const request = await bed.dial()
  request.send(wire.cancelRequest(busy!.cancelPid, busy!.cancelKey))
  assert.deepEqual(sqlstatesOf(await busy!.until('Z')), ['57014'])
})
