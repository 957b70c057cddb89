import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import pg from 'pg'
import postgres from 'postgres'
import { TestRouter } from '../router-control.fixture.ts'
import { writeClient } from '../router-memory.fixture.ts'
import { startRelay, TestConsole } from './console-peer.fixture.ts'

const psqlMissing = spawnSync('psql', ['--version']).error === undefined ? false : 'psql is not installed here'

async function reach(t: TestContext, access = 'admin') {
  const router = new TestRouter()
  writeClient(router, 0, 'idle', { applicationName: 'billing' })
  const console = await TestConsole.start(router)
  const relay = await startRelay(console, access)
  t.after(async () => {
    await relay.close()
    await console.close()
  })
  return { router, console, host: relay.host, port: relay.port }
}

async function psql(at: { host: string; port: number }, ...commands: string[]): Promise<{ out: string; err: string }> {
  const options = ['-X', '-A', '-t', '-h', at.host, '-p', String(at.port), '-U', 'alice']
  const arguments_ = [...options, ...commands.flatMap((command) => ['-c', command]), 'switchyard']
  const { stdout, stderr } = await promisify(execFile)('psql', arguments_)
  return { out: stdout, err: stderr }
}

test('node-postgres reads tables as rows with typed values', async (t) => {
  const { host, port } = await reach(t)
  const client = new pg.Client({ host, port, user: 'alice', database: 'switchyard' })
  await client.connect()
  const clients = await client.query('SHOW CLIENTS')
  assert.equal(clients.rowCount, 1)
  assert.equal(clients.rows[0]?.application_name, 'billing')
  assert.equal(clients.rows[0]?.wait, 0)
  const shards = await client.query({ name: 'shards', text: 'SHOW SHARDS' })
  assert.deepEqual(
    shards.rows.map(({ name, up }) => [name, up]),
    [
      ['alpha', true],
      ['beta', true],
    ],
  )
  assert.equal((await client.query({ name: 'shards', text: 'SHOW SHARDS' })).rows.length, 2)
  const binary = await client.query({ text: 'SHOW SHARDS', binary: true, rowMode: 'array' } as pg.QueryConfig)
  assert.deepEqual((binary.rows[0] as unknown as unknown[]).slice(0, 5), [0, 'alpha', 'main', 'primary', true])
  await assert.rejects(client.query('SELECT * FROM accounts'), { code: '42601' })
  await assert.rejects(client.query('KILL_CLIENT $1', [1]), { code: '42601' })
  assert.equal((await client.query('SELECT 1')).rows.length, 1)
  await client.end()
})

test('node-postgres pools and transactions work', async (t) => {
  const { host, port } = await reach(t)
  const pool = new pg.Pool({ host, port, user: 'alice', database: 'switchyard', max: 4 })
  const answers = await Promise.all(Array.from({ length: 20 }, () => pool.query('SHOW VERSION')))
  assert.ok(answers.every(({ rows }) => rows[0]?.version === 'Switchyard 1.2.3'))
  const client = await pool.connect()
  await client.query('BEGIN')
  assert.equal((await client.query('SHOW CLIENTS')).rows.length, 1)
  await client.query('COMMIT')
  client.release()
  await pool.end()
})

test('postgres.js connects, prepares, asks for types and reads with a cursor', async (t) => {
  const { router, host, port } = await reach(t)
  for (let slot = 1; slot < 10; slot++) writeClient(router, slot, 'idle')
  const sql = postgres({ host, port, path: `${host}/.s.PGSQL.${port}`, user: 'alice', database: 'switchyard', max: 2 })
  assert.deepEqual([...(await sql`SHOW VERSION`)], [{ version: 'Switchyard 1.2.3' }])
  assert.deepEqual([...(await sql`SHOW VERSION`)], [{ version: 'Switchyard 1.2.3' }])
  const sizes: number[] = []
  for await (const rows of sql`SHOW CLIENTS`.cursor(4)) sizes.push(rows.length)
  assert.deepEqual(sizes, [4, 4, 2])
  await sql.unsafe('PAUSE app')
  assert.deepEqual(router.calls, ['pause app'])
  await assert.rejects(async () => sql`SHOW NONSENSE`, { code: '42601' })
  await sql.end()
})

test('psql prints tables and goes on after errors', { skip: psqlMissing }, async (t) => {
  const { router, console, ...at } = await reach(t)
  const { out, err } = await psql(at, 'SHOW VERSION;', 'pause APP;', '\\d', 'SHOW STATE')
  assert.match(out, /^Switchyard 1\.2\.3\n/)
  assert.match(out, /PAUSE\n/)
  assert.match(out, /\nactive\|yes\n/)
  assert.match(err, /ERROR: {2}The admin console has no command "SELECT"; it is not a PostgreSQL server\./)
  assert.match(err, /HINT: {2}Commands: SHOW HELP/)
  assert.deepEqual(router.calls, ['pause app'])
  assert.deepEqual(console.bugs, [])
})

test('psql tells a stats user that it may only look', { skip: psqlMissing }, async (t) => {
  const at = await reach(t, 'stats')
  await assert.rejects(psql(at, 'SHUTDOWN'), /SHUTDOWN is for console admins/)
})
