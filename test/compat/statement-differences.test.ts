import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notificationsOf, readNotification } from '../support/notification.ts'
import { Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'
import { prepare, run } from '../support/wire-statements.ts'

/*
 * What docs/compatibility.md says of statements, pipelines and notifications that PostgreSQL does otherwise: a test for each, which
 * fails when it is true no longer. All clients share one server connection; in the database `wide` they share two.
 */

const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({
    pool: { size: 1 },
    databases: { '*': {}, wide: { name: database, pool_size: 2 } },
  }),
})
await bed.sql('CREATE TABLE one (x int); GRANT ALL ON one TO PUBLIC')

const then = (...frames: readonly Buffer[]): Buffer => Buffer.concat([...frames, wire.sync()])

/** From now on everybody gets server connections that know no statement. */
async function renew(): Promise<void> {
  await bed.console.query(`RECONNECT ${bed.database}`)
}

/** The process of the connection that listens for all. */
async function listenerPid(): Promise<number> {
  const [row] = await bed.cluster.sql(
    `SELECT pid FROM pg_stat_activity WHERE datname = $1 AND application_name = 'switchyard listener'`,
    [bed.database],
  )
  return Number(row!.pid)
}

async function failTransaction(client: WireClient): Promise<void> {
  await client.query('BEGIN')
  await client.query('SELECT 1/0')
}

test('statements have names of ours on the server, and in errors', async () => {
  const client = await bed.open()
  await prepare(client, 'mine', 'SELECT $1::int')
  const names = rowsOf(await client.query('SELECT name FROM pg_prepared_statements'))
  assert.match(String(names), /^switchyard_\d+$/)
  const answer = await client.exchange(run('mine', ['1', '2']))
  assert.match(String(answer[0]), /^E\(08P01 .*"switchyard_\d+" requires 1/)
})

test('a statement of the protocol is found in SQL only in a simple query of its own', async () => {
  const client = await bed.open()
  await prepare(client, 'mine', 'SELECT 1')
  assert.equal(onlyValue(await client.query('EXECUTE mine')), '1')
  for (const sql of ['SELECT 2; EXECUTE mine', 'SELECT 2; DEALLOCATE mine', 'EXPLAIN EXECUTE mine']) {
    assert.deepEqual(sqlstatesOf(await client.query(sql)), ['26000'], sql)
  }
  for (const sql of ['EXECUTE mine', 'DEALLOCATE mine']) {
    assert.deepEqual(sqlstatesOf(await client.exchange(wire.extendedQuery(sql))), ['26000'], sql)
  }
})

test('a Parse of a named statement waits for a server connection', async () => {
  const [holder, client] = await bed.openMany(2)
  await holder!.query('BEGIN')
  client!.send(then(wire.parse('mine', 'SELECT 1')))
  assert.ok(await client!.staysSilent(100))
  await holder!.query('COMMIT')
  assert.equal(shapeOf(await client!.until('Z')), '1Z')
})

test('in a failed transaction a statement that the server connection lacks is not looked at', async () => {
  const client = await bed.open()
  await prepare(client, 'two', 'SELECT $1::int')
  await prepare(client, 'none', 'INSERT INTO one VALUES (1)')
  await renew()
  await failTransaction(client)
  assert.deepEqual(sqlstatesOf(await client.exchange(run('two', ['1', '2']))), ['25P02'])
  assert.deepEqual(sqlstatesOf(await client.exchange(then(wire.describe('S', 'none')))), ['25P02'])
})

test('Describe of a statement whose table has gone may fail as its Bind does, without its parameters', async () => {
  const client = await bed.open()
  for (const [sql, shape] of [
    ['INSERT INTO gone VALUES (1)', 'tnZ'],
    ['SELECT * FROM gone', 'tEZ'],
  ] as const) {
    await client.query('CREATE TABLE gone (x int)')
    await prepare(client, sql, sql)
    await client.query('DROP TABLE gone')
    assert.equal(shapeOf(await client.exchange(then(wire.describe('S', sql)))), shape)
    await renew()
    const answer = await client.exchange(then(wire.describe('S', sql)))
    assert.deepEqual([shapeOf(answer), sqlstatesOf(answer)], ['EZ', ['42P01']])
  }
})

test('a Parse of a text that the server connection knows takes no snapshot', async () => {
  const client = await bed.open()
  await prepare(client, 'known', 'SELECT 1')
  for (const [text, sqlstates] of [
    ['SELECT 1', []],
    ['SELECT 1 /* new */', ['25001']],
  ] as const) {
    await client.query('BEGIN')
    await client.exchange(then(wire.close('S', 'again'), wire.parse('again', text)))
    const answer = await client.query('SET TRANSACTION ISOLATION LEVEL SERIALIZABLE')
    assert.deepEqual(sqlstatesOf(answer), sqlstates)
    await client.query('ROLLBACK')
  }
})

test('a statement that is not ASCII is parsed in the encoding of the moment where it is missed', async () => {
  const client = await bed.open({ parameters: { client_encoding: 'LATIN1' } })
  await prepare(client, 'mine', `SELECT length('é')`)
  await client.query(`SET client_encoding = 'UTF8'`)
  assert.equal(onlyValue(await client.exchange(run('mine'))), '2')
  await renew()
  assert.equal(onlyValue(await client.exchange(run('mine'))), '1')
})

test('of many messages without a Sync, answers come before it', async () => {
  const client = await bed.open()
  for (let n = 0; n < 300; n += 1) client.send(wire.close('S', `none_${n}`))
  assert.equal(shapeOf(await client.until('3')), '3')
  client.send(wire.sync())
  assert.equal((await client.until('Z')).length, 300)
})

test('a notification has the process id of the server connection, not the one that the notifier knows', async () => {
  const [listener, notifier] = await bed.openMany(2)
  await listener!.query('LISTEN a')
  const pid = Number(onlyValue(await notifier!.query('SELECT pg_backend_pid()')))
  await notifier!.query('NOTIFY a')
  const [message] = await listener!.until('A')
  assert.equal(readNotification(message!).pid, pid)
  assert.notEqual(pid, notifier!.cancelPid)
})

test('LISTEN in a transaction of a session that listens delivers nothing from before its COMMIT', async () => {
  const [listener, notifier] = await bed.openMany(2, { database: 'wide' })
  await listener!.query('LISTEN a')
  await listener!.query('BEGIN; LISTEN b')
  await notifier!.query(`NOTIFY b, 'before'`)
  const answer = await listener!.query('COMMIT')
  await notifier!.query(`NOTIFY b, 'behind'`)
  assert.deepEqual(notificationsOf([...answer, ...(await listener!.until('A'))]), ['b behind'])
})

test('in a pipeline notifications come before the last ReadyForQuery', async () => {
  const client = await bed.open()
  await client.query('LISTEN a')
  const texts = ['NOTIFY a', 'SELECT 1', 'SELECT 2']
  const answer = await client.exchange(Buffer.concat(texts.map((text) => wire.extendedQuery(text))), 3)
  const types = answer.map((message) => message.type).filter((type) => 'AZ'.includes(type))
  assert.equal(types.join(''), 'ZZAZ')
})

test('client_encoding changed after LISTEN does not change that of notifications', async () => {
  const [listener, notifier] = await bed.openMany(2)
  await listener!.query('LISTEN a')
  await listener!.query(`SET client_encoding = 'LATIN1'`)
  await notifier!.query(`NOTIFY a, 'é'`)
  const [message] = await listener!.until('A')
  assert.equal(readNotification(message!).payload, 'é')
})

test('the ReadyForQuery of a session that listens waits for the connection that listens', async () => {
  const [listener, other] = await bed.openMany(2)
  await listener!.query('LISTEN a')
  const pid = await listenerPid()
  process.kill(pid, 'SIGSTOP')
  try {
    listener!.send(wire.query('SELECT 1'))
    await listener!.until('C')
    assert.ok(await listener!.staysSilent(100))
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  assert.equal(shapeOf(await listener!.until('Z')), 'Z')
  assert.equal(onlyValue(await other!.query('SELECT 1')), '1')
})

test('notifications of a session that listens in both ways come in no common order', async () => {
  const [listener, notifier] = await bed.openMany(2, { database: 'wide' })
  await listener!.query('LISTEN shared')
  await listener!.query('DO $$ BEGIN LISTEN own; END $$')
  const pid = await listenerPid()
  process.kill(pid, 'SIGSTOP')
  try {
    await notifier!.query('NOTIFY shared')
    await notifier!.query('NOTIFY own')
    assert.deepEqual(notificationsOf(await listener!.until('A')), ['own '])
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  assert.deepEqual(notificationsOf(await listener!.until('A')), ['shared '])
})
