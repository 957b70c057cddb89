import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'
import { prepare, run } from '../support/wire-statements.ts'

const SERVERS = 3
const bed = await Testbed.open({ settings: { pool: { size: SERVERS }, limits: { prepared_statements: 50 } } })

const ofRouter = { skip: isDirect && 'about its pool' }

/** Makes every server connection of the pool serve somebody, so that the next query may land on any of them. */
async function shuffle(clients: readonly WireClient[]): Promise<void> {
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.01)')))
}

test('a named statement works on whichever server connection its session gets', async () => {
  const clients = await bed.openMany(2 * SERVERS)
  await Promise.all(clients.map((client, at) => prepare(client, 'mine', `SELECT '${at}:' || $1::text`)))
  const pids = new Set<string | null>()
  for (let round = 0; round < 10; round += 1) {
    const answers = await Promise.all(clients.map((client) => client.exchange(run('mine', [String(round)]))))
    for (const [at, answer] of answers.entries()) assert.equal(onlyValue(answer), `${at}:${round}`)
    for (const client of clients) pids.add(onlyValue(await client.query('SELECT pg_backend_pid()')))
    await shuffle(clients)
  }
  if (!isDirect) assert.ok(pids.size <= SERVERS)
})

test('the same name means another statement to each client', async () => {
  const [first, second] = await bed.openMany(2)
  await prepare(first!, 'same', 'SELECT 1')
  await prepare(second!, 'same', 'SELECT 2')
  for (let round = 0; round < 5; round += 1) {
    assert.equal(onlyValue(await first!.exchange(run('same'))), '1')
    assert.equal(onlyValue(await second!.exchange(run('same'))), '2')
  }
})

test('a name that is taken is refused with 42P05, and the first statement stays', async () => {
  const client = await bed.open()
  await prepare(client, 'taken', 'SELECT 1')
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([wire.parse('taken', 'SELECT 2'), wire.sync()]))), [
    '42P05',
  ])
  assert.equal(onlyValue(await client.exchange(run('taken'))), '1')
})

test('a name that is refused costs no server connection, and nobody else finds it taken', ofRouter, async () => {
  const clients = await bed.openMany(2 * SERVERS)
  await shuffle(clients)
  const processes = async () => (await bed.cluster.backends(bed.database)).map(({ pid }) => pid).sort()
  const before = await processes()
  for (const client of clients) {
    await prepare(client, 'taken', 'SELECT 1')
    assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([wire.parse('taken', ''), wire.sync()]))), [
      '42P05',
    ])
  }
  await shuffle(clients)
  assert.deepEqual(await processes(), before)
  const strangers = await bed.openMany(2 * SERVERS)
  for (const sql of ["DO 'BEGIN END'", 'PREPARE taken AS SELECT 2']) {
    const answers = await Promise.all(strangers.slice(0, SERVERS).map((client) => client.query(sql)))
    for (const answer of answers) assert.deepEqual(sqlstatesOf(answer), [])
  }
})

test('a name that PREPARE has taken is refused with 42P05 by the protocol, and the other way round', async () => {
  const client = await bed.open()
  const parse = (name: string) => client.exchange(Buffer.concat([wire.parse(name, 'SELECT 2'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.query('PREPARE taken AS SELECT 1')), [])
  assert.deepEqual(sqlstatesOf(await parse('taken')), ['42P05'])
  assert.equal(onlyValue(await client.exchange(run('taken'))), '1')
  for (const name of ['other', 'Third']) assert.deepEqual(sqlstatesOf(await parse(name)), [])
  for (const name of ['other', '"Third"']) {
    assert.deepEqual(sqlstatesOf(await client.query(`PREPARE ${name} AS SELECT 3`)), ['42P05'])
  }
  for (const name of ['other', 'Third']) assert.equal(onlyValue(await client.exchange(run(name))), '2')
  assert.deepEqual(sqlstatesOf(await client.query('PREPARE third AS SELECT 4')), [])
  await client.exchange(Buffer.concat([wire.close('S', 'other'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.query('PREPARE other AS SELECT 5')), [])
  assert.equal(onlyValue(await client.query('EXECUTE other')), '5')
  await client.query('DEALLOCATE ALL')
  assert.deepEqual(sqlstatesOf(await parse('taken')), [])
  assert.equal(onlyValue(await client.exchange(run('taken'))), '2')
})

test('a name that was refused means what is prepared behind DEALLOCATE ALL', async () => {
  const client = await bed.open()
  // It stays on its server connection.
  await client.query('SELECT pg_advisory_lock(1)')
  await prepare(client, 'mine', 'SELECT 1')
  assert.deepEqual(sqlstatesOf(await client.query('PREPARE mine AS SELECT 2')), ['42P05'])
  for (const sql of ['DEALLOCATE ALL', 'PREPARE mine AS SELECT 3']) {
    assert.deepEqual(sqlstatesOf(await client.exchange(wire.extendedQuery(sql))), [])
  }
  assert.equal(onlyValue(await client.exchange(run('mine'))), '3')
})

test('a name that the protocol has taken is refused with 42P05 by a PREPARE of the protocol too', async () => {
  const client = await bed.open()
  await prepare(client, 'mine', 'SELECT 1')
  await prepare(client, 'another', 'PREPARE mine AS SELECT 2')
  const attempts = [run('another'), wire.extendedQuery('PREPARE "mine" AS SELECT 3')]
  for (const attempt of attempts) assert.deepEqual(sqlstatesOf(await client.exchange(attempt)), ['42P05'])
  assert.equal(onlyValue(await client.exchange(run('mine'))), '1')
  // In one pipeline with the Parse, and behind a part of one that is not answered yet.
  const all = [wire.parse('Two', 'SELECT 4'), wire.extendedQuery('PREPARE "Two" AS SELECT 5'), attempts[1]!]
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat(all), 2)), ['42P05', '42P05'])
  const closed = [wire.bind('', 'another'), wire.close('S', 'mine'), wire.execute(''), wire.sync()]
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat(closed))), [])
  assert.equal(onlyValue(await client.query('EXECUTE mine')), '2')
})

test('a name that the protocol has taken is refused to a PREPARE among other statements', async () => {
  const client = await bed.open()
  await prepare(client, 'mine', 'SELECT 1')
  for (const text of [
    'SELECT 2; PREPARE mine AS SELECT 3',
    'PREPARE another AS SELECT 4; PREPARE "mine" AS SELECT 5',
  ]) {
    assert.deepEqual(sqlstatesOf(await client.query(text)), ['42P05'], text)
  }
  assert.equal(onlyValue(await client.exchange(run('mine'))), '1')
  // The Parse is not answered when the query comes.
  const pipeline = [wire.parse('late', 'SELECT 6'), wire.sync(), wire.query('SELECT 7; PREPARE late AS SELECT 8')]
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat(pipeline), 2)), ['42P05'])
  await client.exchange(Buffer.concat([wire.close('S', 'mine'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await client.query('PREPARE mine AS SELECT 9; EXECUTE mine')), [])
  assert.equal(onlyValue(await client.query('EXECUTE mine')), '9')
})

test('what PREPARE has taken stays, whatever is refused under its name', async () => {
  const client = await bed.open()
  await client.exchange(wire.extendedQuery('PREPARE mine AS SELECT 1'))
  const twice = [wire.parse('mine', 'SELECT 2'), wire.sync(), wire.parse('mine', 'SELECT 3'), wire.sync()]
  client.send(Buffer.concat(twice))
  for (const _ of [1, 2]) assert.deepEqual(sqlstatesOf(await client.until('Z')), ['42P05'])
  assert.equal(onlyValue(await client.exchange(run('mine'))), '1')
  // A name of the protocol, refused once, is free again behind its DEALLOCATE.
  await prepare(client, 'other', 'SELECT 4')
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([wire.parse('other', 'SELECT 5'), wire.sync()]))), [
    '42P05',
  ])
  await client.query('DEALLOCATE other')
  await prepare(client, 'other', 'SELECT 6')
  assert.equal(onlyValue(await client.exchange(run('other'))), '6')
  // Nothing that the server answers comes before the Parse, which must not wait for it.
  const again = [wire.close('S', 'other'), wire.parse('other', 'SELECT 7'), wire.sync()]
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat(again))), [])
  assert.equal(onlyValue(await client.exchange(run('other'))), '7')
})

test('a Parse of a taken name is refused for its text first, as by PostgreSQL', async () => {
  const client = await bed.open()
  await prepare(client, 'taken', 'SELECT 1')
  const parse = (sql: string) => client.exchange(Buffer.concat([wire.parse('taken', sql), wire.sync()]))
  assert.deepEqual(sqlstatesOf(await parse('SELEC 2')), ['42601'])
  assert.deepEqual(sqlstatesOf(await parse('SELECT * FROM nowhere')), ['42P01'])
  await client.query('BEGIN; SELECT 1/0')
  assert.deepEqual(sqlstatesOf(await parse('SELECT 2')), ['25P02'])
})

test('a refused Parse leaves nothing under its name, in a session that keeps its server connection', async () => {
  const client = await bed.open()
  await client.query('CREATE TEMP TABLE keeps (x int)')
  for (const lookUp of [run('stray'), wire.query('EXECUTE stray'), wire.query('DEALLOCATE stray')]) {
    await prepare(client, 'stray', 'SELECT 1')
    await client.exchange(Buffer.concat([wire.parse('stray', 'SELECT 2'), wire.sync()]))
    await client.exchange(Buffer.concat([wire.close('S', 'stray'), wire.sync()]))
    assert.deepEqual(sqlstatesOf(await client.exchange(lookUp)), ['26000'])
  }
})

test('a failed transaction refuses a Parse, of a text that the server connection knows too', async () => {
  const text = 'SELECT 8127'
  for (const client of await bed.openMany(SERVERS)) await prepare(client, 'known', text)
  const client = await bed.open()
  const parse = Buffer.concat([wire.parse('known', text), wire.sync()])
  await client.query('BEGIN; SELECT 1/0')
  assert.deepEqual(sqlstatesOf(await client.exchange(parse)), ['25P02'])
  await client.query('ROLLBACK')
  const failing = Buffer.concat([wire.query('BEGIN; SELECT 1/0'), parse, wire.query('ROLLBACK')])
  assert.deepEqual(sqlstatesOf(await client.exchange(failing, 3)), ['22012', '25P02'], 'sent with what fails')
  const skipped = Buffer.concat([wire.query('SELECT 1'), wire.parse('', 'SELEC 1'), parse])
  assert.deepEqual(sqlstatesOf(await client.exchange(skipped, 2)), ['42601'], 'skipped')
  assert.equal(shapeOf(await client.exchange(parse)), '1Z')
  assert.equal(onlyValue(await client.exchange(run('known'))), '8127')
})

test('the unnamed statement is replaced by each Parse, and is no one else’s', async () => {
  const [first, second] = await bed.openMany(2)
  await first!.exchange(Buffer.concat([wire.parse('', 'SELECT 1'), wire.sync()]))
  await second!.exchange(Buffer.concat([wire.parse('', 'SELECT 2'), wire.sync()]))
  assert.equal(onlyValue(await first!.exchange(run(''))), '1')
  assert.equal(onlyValue(await second!.exchange(run(''))), '2')
  await first!.exchange(Buffer.concat([wire.parse('', 'SELECT 3'), wire.sync()]))
  assert.equal(onlyValue(await first!.exchange(run(''))), '3')
})

test('a closed statement is gone, and its name is free again', async () => {
  const client = await bed.open()
  await prepare(client, 'short', 'SELECT 1')
  assert.equal(shapeOf(await client.exchange(Buffer.concat([wire.close('S', 'short'), wire.sync()]))), '3Z')
  assert.deepEqual(sqlstatesOf(await client.exchange(run('short'))), ['26000'])
  await prepare(client, 'short', 'SELECT 2')
  assert.equal(onlyValue(await client.exchange(run('short'))), '2')
})

test('a statement that does not parse is not there afterwards', async () => {
  const client = await bed.open()
  const failed = await client.exchange(Buffer.concat([wire.parse('broken', 'SELEKT 1'), wire.sync()]))
  assert.deepEqual(sqlstatesOf(failed), ['42601'])
  assert.deepEqual(sqlstatesOf(await client.exchange(run('broken'))), ['26000'])
  await prepare(client, 'broken', 'SELECT 1')
  assert.equal(onlyValue(await client.exchange(run('broken'))), '1')
})

test('a statement prepared in a transaction that is rolled back stays, as in PostgreSQL', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await prepare(client, 'outlives', 'SELECT 1')
  await client.query('ROLLBACK')
  assert.equal(onlyValue(await client.exchange(run('outlives'))), '1')
})

for (const sql of ['DEALLOCATE ALL', 'DEALLOCATE victim', 'DEALLOCATE PREPARE "victim"', 'DISCARD ALL']) {
  test(`${sql} takes away statements of the protocol, too`, async () => {
    const client = await bed.open()
    await prepare(client, 'victim', 'SELECT 1')
    assert.equal(onlyValue(await client.exchange(run('victim'))), '1')
    assert.deepEqual(sqlstatesOf(await client.query(sql)), [])
    assert.deepEqual(sqlstatesOf(await client.exchange(run('victim'))), ['26000'])
    await prepare(client, 'victim', 'SELECT 2')
    assert.equal(onlyValue(await client.exchange(run('victim'))), '2')
  })
}

test('EXECUTE in SQL finds a statement of the protocol', async () => {
  const client = await bed.open()
  await prepare(client, 'by_sql', 'SELECT 7')
  await shuffle(await bed.openMany(SERVERS))
  assert.equal(onlyValue(await client.query('EXECUTE by_sql')), '7')
})

test('EXECUTE in SQL of what the server connection lacks fails once, as on one that has it', async () => {
  const client = await bed.open()
  const other = await bed.open()
  await other.query('CREATE TABLE soon_gone (x int)')
  await prepare(client, 'first', 'SELECT 1')
  await prepare(client, 'second', 'SELECT x FROM soon_gone')
  await other.query('DROP TABLE soon_gone')
  if (!isDirect) await bed.console.query(`RECONNECT ${bed.database}`)
  const gone = await client.query('EXECUTE second')
  assert.deepEqual([sqlstatesOf(gone), shapeOf(gone)], [['42P01'], 'EZ'])
  const texts = ['BEGIN', 'SELECT 1/0', 'EXECUTE first', 'DEALLOCATE first', 'ROLLBACK', 'EXECUTE first']
  const answer = await client.exchange(Buffer.concat(texts.map((text) => wire.query(text))), texts.length)
  assert.equal(shapeOf(answer), 'CZEZEZEZCZTDCZ')
  assert.deepEqual(sqlstatesOf(answer), ['22012', '25P02', '25P02'])
})

test('Describe tells parameters and columns of a statement prepared long ago', async () => {
  const client = await bed.open()
  await prepare(client, 'described', 'SELECT $1::int8 AS a, $2::text AS b')
  await shuffle(await bed.openMany(SERVERS))
  const answer = await client.exchange(Buffer.concat([wire.describe('S', 'described'), wire.sync()]))
  assert.equal(shapeOf(answer), 'tTZ')
  assert.equal(answer[0]?.body.readInt32BE(2), 20)
})

test('declared parameter types are kept', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('typed', 'SELECT pg_typeof($1)::text', [20]), wire.sync()]))
  await shuffle(await bed.openMany(SERVERS))
  assert.equal(onlyValue(await client.exchange(run('typed', ['1']))), 'bigint')
})

test('many statements and executions in one pipeline are answered in order', async () => {
  const client = await bed.open()
  const frames: Buffer[] = []
  for (let n = 0; n < 30; n += 1)
    frames.push(wire.parse(`p${n}`, `SELECT ${n}`), wire.bind('', `p${n}`), wire.execute(''))
  const answer = await client.exchange(Buffer.concat([...frames, wire.sync()]))
  assert.equal(shapeOf(answer), `${'12DC'.repeat(30)}Z`)
  assert.deepEqual(
    rowsOf(answer).map(([value]) => Number(value)),
    Array.from({ length: 30 }, (_, n) => n),
  )
  await shuffle(await bed.openMany(SERVERS))
  const again = Array.from({ length: 30 }, (_, n) => Buffer.concat([wire.bind('', `p${29 - n}`), wire.execute('')]))
  const answers = await client.exchange(Buffer.concat([...again, wire.sync()]))
  assert.deepEqual(
    rowsOf(answers).map(([value]) => Number(value)),
    Array.from({ length: 30 }, (_, n) => 29 - n),
  )
})

test('a changed table is noticed as PostgreSQL notices it', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE changing (x int)')
  await client.query('INSERT INTO changing VALUES (1)')
  await prepare(client, 'star', 'SELECT * FROM changing')
  assert.equal(onlyValue(await client.exchange(run('star'))), '1')
  await client.query('ALTER TABLE changing ADD COLUMN y int')
  assert.deepEqual(sqlstatesOf(await client.exchange(run('star'))), ['0A000'])
  await client.exchange(Buffer.concat([wire.close('S', 'star'), wire.sync()]))
  await prepare(client, 'star', 'SELECT * FROM changing')
  assert.equal(rowsOf(await client.exchange(run('star')))[0]?.length, 2)
})

test('statements outlive the server connections', { skip: isDirect && 'of the pool' }, async () => {
  const client = await bed.open()
  await prepare(client, 'survivor', 'SELECT $1::int + 1')
  assert.equal(onlyValue(await client.exchange(run('survivor', ['1']))), '2')
  await bed.console.query('RECONNECT')
  assert.equal(onlyValue(await client.exchange(run('survivor', ['2']))), '3')
})

test('more statements than a server connection keeps all stay usable: the oldest are parsed again', {
  skip: isDirect && 'a limit of the router',
}, async () => {
  const client = await bed.open()
  for (let n = 0; n < 60; n += 1) await prepare(client, `n${n}`, `SELECT ${n}`)
  for (const n of [0, 59, 1, 30, 0]) assert.equal(onlyValue(await client.exchange(run(`n${n}`))), String(n))
  for (const { prepared_statements } of (await bed.console.query('SHOW SERVERS')).rows) {
    assert.ok(Number(prepared_statements) <= 50, `${prepared_statements} statements on a server connection`)
  }
})
