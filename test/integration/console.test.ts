import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { CONSOLE, usersOf } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

const STATS = { user: 'watcher', password: 'only looking' }
const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ role }) => ({
    users: usersOf([role, CONSOLE, STATS]),
    admin: { users: [CONSOLE.user], stats_users: [STATS.user] },
  }),
})

const columns: Readonly<Record<string, readonly string[]>> = {
  CLIENTS: [
    'type',
    'user',
    'database',
    'state',
    'addr',
    'port',
    'connect_time',
    'wait',
    'wait_us',
    'ptr',
    'link',
    'tls',
    'application_name',
  ],
  SERVERS: ['type', 'user', 'database', 'state', 'addr', 'port', 'connect_time', 'ptr', 'link', 'remote_pid', 'tls'],
  POOLS: [
    'database',
    'user',
    'cl_active',
    'cl_waiting',
    'sv_active',
    'sv_idle',
    'sv_used',
    'sv_tested',
    'sv_login',
    'maxwait',
    'maxwait_us',
    'pool_mode',
  ],
  DATABASES: [
    'name',
    'host',
    'port',
    'database',
    'force_user',
    'pool_size',
    'min_pool_size',
    'pool_mode',
    'max_connections',
    'current_connections',
    'paused',
    'disabled',
  ],
  USERS: ['name', 'pool_mode'],
  STATS: [
    'database',
    'total_xact_count',
    'total_query_count',
    'total_received',
    'total_sent',
    'total_xact_time',
    'total_query_time',
    'total_wait_time',
    'avg_xact_count',
    'avg_query_count',
    'avg_wait_time',
  ],
  CONFIG: ['key', 'value', 'default', 'changeable'],
  MEM: ['name', 'size', 'used', 'free', 'memtotal'],
  SHARDS: ['name', 'group', 'role', 'host', 'port'],
  VERSION: ['version'],
  LISTS: ['list', 'items'],
}

for (const [command, expected] of Object.entries(columns)) {
  test(`SHOW ${command} has PgBouncer’s column names where it has one`, async () => {
    const { fields } = await bed.console.query(`SHOW ${command}`)
    const names = fields.map((field) => field.name)
    for (const name of expected) assert.ok(names.includes(name), `${name} is missing in ${names}`)
  })
}

test('SHOW HELP names every command, and each SHOW it names answers', async () => {
  const commands = (await bed.show('HELP')).map((row) => String(row.command))
  for (const command of ['PAUSE', 'RESUME', 'RELOAD', 'RECONNECT', 'KILL', 'SHUTDOWN']) {
    assert.ok(
      commands.some((shown) => shown.startsWith(command)),
      `${command} in ${commands}`,
    )
  }
  for (const command of commands.filter((shown) => shown.startsWith('SHOW'))) await bed.console.query(command)
})

test('the console answers in the simple and in the extended protocol, under both names', async () => {
  for (const database of ['switchyard', 'pgbouncer']) {
    const client = await bed.open({ ...CONSOLE, database })
    const simple = await client.query('SHOW VERSION')
    assert.equal(shapeOf(simple), 'TDCZ')
    const extended = await client.exchange(wire.extendedQuery('SHOW VERSION'))
    assert.equal(shapeOf(extended), '12TDCZ')
    assert.deepEqual(rowsOf(extended), rowsOf(simple))
  }
})

test('keywords may be written in any case, with a semicolon and comments', async () => {
  const client = await bed.open({ ...CONSOLE, database: 'switchyard' })
  for (const sql of ['show version', 'SHOW VERSION;', '  Show  Version ; ', '/* who */ SHOW VERSION -- is there']) {
    assert.equal(shapeOf(await client.query(sql)), 'TDCZ', sql)
  }
})

test('a command that is not there is an error with a hint, and the console goes on', async () => {
  const client = await bed.open({ ...CONSOLE, database: 'switchyard' })
  for (const sql of ['SHOW NONSENSE', 'SELECT * FROM pools', 'FROBNICATE', 'SHOW']) {
    const answer = await client.query(sql)
    assert.equal(sqlstatesOf(answer).length, 1, sql)
    assert.ok(answer[0]?.fields.H ?? answer[0]?.fields.M, sql)
  }
  const failed = await client.exchange(wire.extendedQuery('FROBNICATE'))
  assert.equal(sqlstatesOf(failed).length, 1)
  assert.equal(shapeOf(await client.query('SHOW VERSION')), 'TDCZ')
})

test('only listed users reach the console', async () => {
  await assert.rejects(
    bed.open({ database: 'switchyard' }),
    (error) => error instanceof WireError && /^(28|42501|3D)/.test(error.sqlstate),
  )
})

test('a wrong password is refused at the console as everywhere', async () => {
  await assert.rejects(bed.open({ ...CONSOLE, password: 'wrong', database: 'switchyard' }), { sqlstate: '28P01' })
})

test('a stats user may look and not touch', async () => {
  const client = await bed.open({ ...STATS, database: 'switchyard' })
  assert.deepEqual(sqlstatesOf(await client.query('SHOW POOLS')), [])
  for (const command of ['PAUSE', 'RESUME', 'RELOAD', 'RECONNECT', 'KILL', 'SHUTDOWN']) {
    assert.deepEqual(sqlstatesOf(await client.query(command)), ['42501'], command)
  }
})

test('SHOW CLIENTS and SHOW SERVERS point at each other while a transaction runs', async () => {
  const client = await bed.open({ parameters: { application_name: 'linked' } })
  await client.query('BEGIN')
  const row = (await bed.show('CLIENTS')).find((shown) => shown.application_name === 'linked')
  assert.equal(row?.state, 'active')
  const server = (await bed.show('SERVERS')).find((shown) => shown.ptr === row?.link)
  assert.equal(server?.link, row?.ptr)
  const pid = Number(rowsOf(await client.query('SELECT pg_backend_pid()'))[0]?.[0])
  assert.equal(server?.remote_pid, pid)
  await client.query('COMMIT')
  assert.equal((await bed.pool()).sv_active, 0)
})

test('STATS counts queries, transactions and bytes', async () => {
  const before = (await bed.show('STATS')).find((row) => row.database === bed.database)
  const client = await bed.open()
  for (let n = 0; n < 7; n += 1) await client.query('SELECT 1')
  await client.query('BEGIN')
  await client.query('SELECT 1')
  await client.query('COMMIT')
  // The answer may be out a moment before it is counted.
  const grown = await waitUntil('the last query to be counted', async () => {
    const after = (await bed.show('STATS')).find((row) => row.database === bed.database)
    const difference = (name: string): number => Number(after?.[name]) - Number(before?.[name] ?? 0)
    return difference('total_query_count') >= 10 ? difference : null
  })
  assert.equal(grown?.('total_query_count'), 10)
  assert.equal(grown?.('total_xact_count'), 8)
  assert.ok((grown?.('total_received') ?? 0) > 10 * 14)
  assert.ok((grown?.('total_sent') ?? 0) > 10 * 30)
})

test('secrets are masked in SHOW CONFIG', async () => {
  const shown = JSON.stringify(await bed.show('CONFIG'))
  for (const secret of [bed.role.password, CONSOLE.password, bed.cluster.superuser.password]) {
    assert.ok(!shown.includes(secret))
  }
})

test('node-postgres uses the console with a name for its statement', async () => {
  const client = new pg.Client({ host: bed.router.host, port: bed.router.port, ...CONSOLE, database: 'pgbouncer' })
  await client.connect()
  for (let n = 0; n < 3; n += 1) {
    const { rows } = await client.query({ name: 'pools', text: 'SHOW POOLS' })
    assert.ok(Array.isArray(rows))
  }
  await client.end()
})

test('many consoles at once answer, and leave nothing behind', async () => {
  const consoles = await bed.openMany(20, { ...CONSOLE, database: 'switchyard' })
  const answers = await Promise.all(consoles.map((console) => console.query('SHOW CLIENTS')))
  for (const answer of answers) assert.ok(rowsOf(answer).length >= 20)
})
