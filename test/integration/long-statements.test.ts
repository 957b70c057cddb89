import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ settings: { pool: { size: 1 }, timeouts: { query_wait: '2s' } } })
await bed.sql('CREATE TABLE bulk (a int, b text); GRANT ALL ON bulk TO PUBLIC')

const MEGABYTE = 1 << 20

/** About a megabyte, with everything in its strings that could be mistaken for something else. */
const INSERT = `INSERT INTO bulk VALUES ${Array.from(
  { length: 20_000 },
  (_, n) => `(${n}, 'it''s; CREATE TEMP TABLE x (-- /* ${n}')`,
).join(', ')}`
assert.ok(INSERT.length > MEGABYTE * 0.9)

/** Why sessions keep their server connections; one more client needs the only one. */
async function pinned(): Promise<string> {
  if (isDirect) return ''
  const rows = await bed.show('CLIENTS')
  return rows
    .filter((row) => row.database === bed.database)
    .map((row) => String(row.pinned ?? ''))
    .join('')
}

async function assertShared(): Promise<void> {
  assert.equal(await pinned(), '')
  assert.equal(onlyValue(await (await bed.open()).query('SELECT 1')), '1')
}

async function rowCount(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT count(*) FROM bulk'))
}

test('a simple query of a megabyte leaves its server connection to others', async () => {
  const client = await bed.open()
  await client.query('TRUNCATE bulk')
  assert.deepEqual(sqlstatesOf(await client.query(INSERT)), [])
  await assertShared()
  assert.equal(await rowCount(client), '20000')
})

test('so does one that arrives in pieces of all sizes, between others in a pipeline', async () => {
  const client = await bed.open()
  await client.query('TRUNCATE bulk')
  const bytes = Buffer.concat([wire.query('SELECT 1'), wire.query(INSERT), wire.query('SELECT 2')])
  const cuts = [
    3,
    21,
    22,
    30,
    16_000,
    16_405,
    16_406,
    65_535,
    65_536,
    65_537,
    300_000,
    bytes.length - 20,
    bytes.length - 1,
  ]
  await client.sendCut(bytes, cuts)
  assert.equal(onlyValue(await client.until('Z')), '1')
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  assert.equal(onlyValue(await client.until('Z')), '2')
  await assertShared()
  assert.equal(await rowCount(client), '20000')
})

test('what it does to its session is seen, wherever it stands', { skip: isDirect && 'of the pool' }, async () => {
  const client = await bed.open()
  assert.deepEqual(sqlstatesOf(await client.query(`${INSERT}; CREATE TEMP TABLE mine (a int)`)), [])
  assert.equal(await pinned(), 'temporaryObject')
  await client.query('DISCARD ALL')
  assert.deepEqual(sqlstatesOf(await client.query(`SET work_mem = '5MB'; ${INSERT}; SET work_mem = '6MB'`)), [])
  await assertShared()
  assert.equal(onlyValue(await client.query('SHOW work_mem')), '6MB')
})

test('a transaction that begins and ends in long texts', async () => {
  const client = await bed.open()
  await client.query('TRUNCATE bulk')
  const begun = await client.query(`BEGIN; ${INSERT}`)
  assert.equal(begun.at(-1)?.body.toString(), 'T')
  const ended = await client.query(`${INSERT}; COMMIT`)
  assert.equal(ended.at(-1)?.body.toString(), 'I')
  await assertShared()
  assert.equal(await rowCount(client), '40000')
})

test('an error in it is an error, and costs nothing else', async () => {
  const client = await bed.open()
  assert.deepEqual(sqlstatesOf(await client.query(`${INSERT} wrong`)), ['42601'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  await assertShared()
})

test('EXECUTE of a statement that the protocol prepared may have parameters of any length', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('long', 'SELECT length($1)', [25]), wire.sync()]))
  const other = await bed.open()
  assert.equal(onlyValue(await other.query('SELECT 1')), '1')
  assert.equal(onlyValue(await client.query(`EXECUTE long('${'x'.repeat(MEGABYTE)}')`)), String(MEGABYTE))
  await assertShared()
})

test('a sequence that another client used cannot be read by a long text either', {
  skip: isDirect && 'of the pool',
}, async () => {
  const [writer, reader] = [await bed.open(), await bed.open()]
  await writer.query('CREATE SEQUENCE IF NOT EXISTS numbers')
  await writer.query(`SELECT nextval('numbers')`)
  await writer.goodbye()
  assert.deepEqual(sqlstatesOf(await reader.query(`/* ${'x'.repeat(100_000)} */ SELECT currval('numbers')`)), ['55000'])
  await reader.query('BEGIN')
  assert.deepEqual(sqlstatesOf(await reader.query(`/* ${'x'.repeat(100_000)} */ SELECT currval('numbers')`)), ['55000'])
  await reader.query('ROLLBACK')
})

test('one that nobody has room for waits its turn', { skip: isDirect && 'of the pool' }, async () => {
  const [holder, client] = [await bed.open(), await bed.open()]
  await holder.query('BEGIN')
  client.send(wire.query(`SELECT 'done' /* ${'x'.repeat(MEGABYTE)} */`))
  assert.ok(await client.staysSilent(100))
  await holder.query('COMMIT')
  assert.deepEqual(rowsOf(await client.until('Z')), [['done']])
  await assertShared()
})
