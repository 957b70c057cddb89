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

/** More than is kept. */
const HUGE = `SELECT length('${'x'.repeat(5 * MEGABYTE)}'), $1::int`
const extended = (name: string, sql: string): Buffer =>
  Buffer.concat([wire.parse(name, sql), wire.bind('', name), wire.execute(''), wire.sync()])
const again = (name: string, values: readonly string[] = []): Buffer =>
  Buffer.concat([wire.bind('', name, values), wire.execute(''), wire.sync()])

test('a Parse of a megabyte leaves its server connection to others, and is parsed again where it is missed', async () => {
  for (const name of ['', 'mine']) {
    const client = await bed.open()
    await client.query('TRUNCATE bulk')
    assert.deepEqual(sqlstatesOf(await client.exchange(extended(name, INSERT))), [])
    await assertShared()
    // Another client's unnamed statement, or another server connection altogether.
    const other = await bed.open()
    assert.equal(rowsOf(await other.exchange(wire.extendedQuery('SELECT 7')))[0]?.[0], '7')
    if (name !== '' && !isDirect) await bed.console.query('RECONNECT')
    assert.deepEqual(sqlstatesOf(await client.exchange(again(name))), [])
    assert.equal(await rowCount(client), '40000')
    await assertShared()
  }
})

test('Parses of all lengths in one pipeline, with parameters, in pieces', async () => {
  const client = await bed.open()
  const text = (length: number): string => `SELECT $1::int + 1 /* ${'x'.repeat(length)} */`
  const lengths = [10, 65_500, 65_531, 65_532, 65_600, 200_000, 1_000_000, 20]
  const bytes = Buffer.concat(
    lengths.flatMap((length, at) => [
      wire.parse(at % 2 === 0 ? '' : `p${at}`, text(length), [23]),
      wire.bind('', at % 2 === 0 ? '' : `p${at}`, [String(at)]),
      wire.execute(''),
      wire.sync(),
    ]),
  )
  await client.sendCut(bytes, [7, 65_000, 131_077, 150_000, 500_000, 700_003, bytes.length - 30])
  for (const [at] of lengths.entries()) assert.equal(onlyValue(await client.until('Z')), String(at + 1))
  assert.equal(onlyValue(await client.exchange(again('p5', ['41']))), '42')
  await assertShared()
})

test('what a long Parse does to its session is seen', { skip: isDirect && 'of the pool' }, async () => {
  const client = await bed.open()
  const sql = `CREATE TEMP TABLE IF NOT EXISTS mine AS SELECT 1 AS a /* ${'x'.repeat(MEGABYTE)} */`
  assert.deepEqual(sqlstatesOf(await client.exchange(extended('', sql))), [])
  assert.match(await pinned(), /temporaryObject/)
})

test('a long Parse with an error in it, one behind an error, and one of a name that is taken', async () => {
  const client = await bed.open()
  assert.deepEqual(sqlstatesOf(await client.exchange(extended('wrong', `${INSERT} wrong`))), ['42601'])
  assert.deepEqual(sqlstatesOf(await client.exchange(again('wrong'))), ['26000'])
  const behind = Buffer.concat([wire.parse('', 'SELECT wrong'), extended('skipped', INSERT)])
  assert.deepEqual(sqlstatesOf(await client.exchange(behind)), ['42703'])
  assert.deepEqual(sqlstatesOf(await client.exchange(again('skipped'))), ['26000'])
  await client.exchange(Buffer.concat([wire.parse('taken', 'SELECT 1'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.exchange(extended('taken', INSERT))), ['42P05'])
  assert.equal(onlyValue(await client.exchange(again('taken'))), '1')
  await assertShared()
})

test('a long statement may be closed, and its name used again', async () => {
  const client = await bed.open()
  const sql = `SELECT 1 /* ${'x'.repeat(MEGABYTE)} */`
  const close = Buffer.concat([wire.close('S', 'once'), wire.sync()])
  assert.equal(onlyValue(await client.exchange(extended('once', sql))), '1')
  await client.exchange(close)
  assert.deepEqual(sqlstatesOf(await client.exchange(again('once'))), ['26000'])
  assert.equal(onlyValue(await client.exchange(extended('once', sql))), '1')
  const failed = Buffer.concat([wire.parse('', 'wrong'), close])
  assert.deepEqual(sqlstatesOf(await client.exchange(failed)), ['42601'])
  assert.equal(onlyValue(await client.exchange(again('once'))), '1')
  await assertShared()
})

for (const [what, end] of Object.entries({
  'another one': wire.extendedQuery('SELECT 1'),
  Close: Buffer.concat([wire.close('S', ''), wire.sync()]),
  'a simple query': wire.query('SELECT 1'),
})) {
  test(`an unnamed statement too long to be kept pins until ${what}`, { skip: isDirect && 'of the pool' }, async () => {
    const client = await bed.open()
    await client.exchange(Buffer.concat([wire.parse('', HUGE), wire.sync()]))
    assert.equal(await pinned(), 'longStatement')
    assert.deepEqual(rowsOf(await client.exchange(again('', ['7']))), [[String(5 * MEGABYTE), '7']])
    assert.equal(await pinned(), 'longStatement')
    assert.deepEqual(sqlstatesOf(await client.exchange(end)), [])
    await assertShared()
  })
}

test('a named statement too long to be kept pins until DISCARD ALL', { skip: isDirect && 'of the pool' }, async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('huge', HUGE), wire.sync()]))
  assert.deepEqual(rowsOf(await client.exchange(again('huge', ['8']))), [[String(5 * MEGABYTE), '8']])
  await client.exchange(wire.extendedQuery('SELECT 1'))
  assert.equal(await pinned(), 'longStatement')
  await client.query('DISCARD ALL')
  await assertShared()
})

test('clients that leave give back what was kept of their statements', async () => {
  // More than all clients together may keep.
  for (let n = 0; n < 36; n += 1) {
    const client = await bed.open()
    const sql = `SELECT 1 /* ${'x'.repeat(2 * MEGABYTE)} */`
    assert.equal(onlyValue(await client.exchange(extended(n % 2 === 0 ? '' : 'a', sql))), '1')
    await assertShared()
    if (n % 4 < 2) await client.goodbye()
    else client.reset()
  }
})
