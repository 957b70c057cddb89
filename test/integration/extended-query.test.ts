import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

/** Object id of sqrt(double precision). */
const SQRT = 1344
const bed = await Testbed.open()

test('parse, bind, describe, execute, sync of the unnamed statement', async () => {
  const client = await bed.open()
  const answer = await client.exchange(wire.extendedQuery('SELECT $1::int + 1, $2::text', ['41', null]))
  assert.equal(shapeOf(answer), '12TDCZ')
  assert.deepEqual(rowsOf(answer), [['42', null]])
})

test('a statement without rows is described with NoData', async () => {
  const client = await bed.open()
  assert.equal(shapeOf(await client.exchange(wire.extendedQuery('CREATE TABLE described (x int)'))), '12nCZ')
})

test('an empty statement is answered with EmptyQueryResponse', async () => {
  const client = await bed.open()
  assert.equal(shapeOf(await client.exchange(wire.extendedQuery(''))), '12nIZ')
})

test('describing a statement tells its parameters and its columns', async () => {
  const client = await bed.open()
  const answer = await client.exchange(
    Buffer.concat([wire.parse('', 'SELECT $1::int8, $2::text'), wire.describe('S', ''), wire.sync()]),
  )
  assert.equal(shapeOf(answer), '1tTZ')
  assert.deepEqual(
    [answer[1]?.body.readInt16BE(0), answer[1]?.body.readInt32BE(2), answer[1]?.body.readInt32BE(6)],
    [2, 20, 25],
  )
})

test('a portal is suspended at the row limit and goes on with the next execute', async () => {
  const client = await bed.open()
  const answer = await client.exchange(
    Buffer.concat([
      wire.parse('', 'SELECT generate_series(1, 5)'),
      wire.bind('', ''),
      wire.execute('', 2),
      wire.execute('', 2),
      wire.execute('', 2),
      wire.sync(),
    ]),
  )
  assert.equal(shapeOf(answer), '12DDsDDsDCZ')
})

test('Flush brings the answers so far, without Sync', async () => {
  const client = await bed.open()
  client.send(wire.parse('', 'SELECT 7'), wire.bind('', ''), wire.execute(''), wire.flush())
  assert.equal(shapeOf(await client.until('C')), '12DC')
  client.send(wire.sync())
  assert.equal(shapeOf(await client.until('Z')), 'Z')
})

test('Flush brings the answer to a Close at once, behind those of others', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('mine', 'SELECT 1'), wire.sync()]))
  const frames = [
    wire.parse('', 'SELECT 2'),
    wire.bind('', ''),
    wire.execute(''),
    wire.close('S', 'mine'),
    wire.flush(),
  ]
  client.send(...frames)
  assert.equal(shapeOf(await client.until('3')), '12DC3')
})

test('what a client did before its Sync is undone when it leaves, and does not become the next one’s', async () => {
  await bed.sql('CREATE TABLE unsynced (x int); GRANT ALL ON unsynced TO PUBLIC')
  for (const sql of ['INSERT INTO unsynced VALUES (1)', 'SELECT 1/0']) {
    for (const client of await bed.openMany(5)) {
      client.send(wire.parse('', sql), wire.bind('', ''), wire.execute(''), wire.flush())
      await client.until('CE')
      client.close()
    }
    for (const client of await bed.openMany(5)) {
      assert.deepEqual((await client.query('BEGIN')).map(String), ['C(BEGIN)', 'Z(T)'])
      await client.query('COMMIT')
    }
  }
  assert.deepEqual(await bed.sql('SELECT * FROM unsynced'), [])
})

test('a query among messages without their Sync harms nobody but its client', async () => {
  const insert = [wire.parse('', 'INSERT INTO mixed VALUES (1)'), wire.bind('', ''), wire.execute('')]
  await bed.sql('CREATE TABLE mixed (x int); GRANT ALL ON mixed TO PUBLIC')
  for (const query of [wire.query('SELECT 2'), wire.query(''), wire.functionCall(SQRT, ['4'])]) {
    const client = await bed.open()
    const answer = await client.exchange(Buffer.concat([...insert, query, wire.sync()]), 2)
    assert.deepEqual(sqlstatesOf(answer), [])
    for (const other of await bed.openMany(5)) assert.equal(onlyValue(await other.query('SELECT 3')), '3')
  }
})

test('a transaction is kept open across messages until Sync', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE implicit (x int)')
  client.send(wire.parse('', 'INSERT INTO implicit VALUES (1)'), wire.bind('', ''), wire.execute(''), wire.flush())
  await client.until('C')
  const other = await bed.open()
  assert.equal(onlyValue(await other.query('SELECT count(*) FROM implicit')), '0')
  await client.exchange(wire.sync())
  assert.equal(onlyValue(await other.query('SELECT count(*) FROM implicit')), '1')
})

test('after an error everything up to Sync is skipped, and what follows works', async () => {
  const client = await bed.open()
  const answer = await client.exchange(
    Buffer.concat([
      wire.parse('', 'SELECT 1/0'),
      wire.bind('', ''),
      wire.execute(''),
      wire.parse('never', 'SELECT 1'),
      wire.bind('', 'never'),
      wire.execute(''),
      wire.sync(),
      wire.extendedQuery(`SELECT 'after'`),
    ]),
    2,
  )
  assert.equal(shapeOf(answer), '1EZ12TDCZ')
  assert.equal(onlyValue(answer), 'after')
})

test('a pipeline of many Syncs is answered one for one, with an error in the middle', async () => {
  const client = await bed.open()
  const count = 60
  const frames = Array.from({ length: count }, (_, n) => wire.extendedQuery('SELECT 10 / ($1::int - 30)', [String(n)]))
  const answer = await client.exchange(Buffer.concat(frames), count)
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.equal(rowsOf(answer).length, count - 1)
  assert.equal(answer.filter((message) => message.type === 'Z').length, count)
})

test('a pipeline with a transaction in it is one transaction', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE pipelined (x int)')
  const answer = await client.exchange(
    Buffer.concat([
      wire.extendedQuery('BEGIN'),
      wire.extendedQuery('INSERT INTO pipelined VALUES (1)'),
      wire.extendedQuery('SELECT 1/0'),
      wire.extendedQuery('INSERT INTO pipelined VALUES (2)'),
      wire.extendedQuery('ROLLBACK'),
      wire.extendedQuery('SELECT count(*) FROM pipelined'),
    ]),
    6,
  )
  assert.deepEqual(
    answer.filter((message) => message.type === 'Z').map((message) => message.body.toString()),
    ['T', 'T', 'E', 'E', 'I', 'I'],
  )
  assert.deepEqual(rowsOf(answer).at(-1), ['0'])
})

test('simple and extended messages may be mixed in one pipeline', async () => {
  const client = await bed.open()
  const answer = await client.exchange(
    Buffer.concat([wire.query('SELECT 1'), wire.extendedQuery('SELECT 2'), wire.query('SELECT 3'), wire.sync()]),
    4,
  )
  assert.equal(shapeOf(answer), 'TDCZ12TDCZTDCZZ')
})

test('a Sync alone is answered', async () => {
  const client = await bed.open()
  assert.equal(shapeOf(await client.exchange(wire.sync())), 'Z')
  assert.equal(shapeOf(await client.exchange(Buffer.concat([wire.sync(), wire.sync(), wire.sync()]), 3)), 'ZZZ')
})

test('a portal with a name lives to the end of the transaction', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  const first = await client.exchange(
    Buffer.concat([
      wire.parse('', 'SELECT generate_series(1, 4)'),
      wire.bind('cursor', ''),
      wire.execute('cursor', 3),
      wire.sync(),
    ]),
  )
  assert.equal(shapeOf(first), '12DDDsZ')
  assert.equal(shapeOf(await client.exchange(Buffer.concat([wire.execute('cursor', 3), wire.sync()]))), 'DCZ')
  await client.query('COMMIT')
  assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([wire.execute('cursor', 3), wire.sync()]))), [
    '34000',
  ])
})

test('closing what was never there is no error', async () => {
  const client = await bed.open()
  const frames = Buffer.concat([wire.close('S', 'nothing'), wire.close('P', 'nothing'), wire.sync()])
  assert.equal(shapeOf(await client.exchange(frames)), '33Z')
})

test('a long parameter and a long statement go through', async () => {
  const client = await bed.open()
  const value = 'ä'.repeat(1_500_000)
  const answer = await client.exchange(wire.extendedQuery('SELECT length($1::text)', [value]))
  assert.equal(onlyValue(answer), '1500000')
  const sql = `SELECT length('${'y'.repeat(2_000_000)}')`
  assert.equal(onlyValue(await client.exchange(wire.extendedQuery(sql))), '2000000')
})

test('frames split at every byte are the same frames', async () => {
  const client = await bed.open()
  const bytes = Buffer.concat([
    wire.query('SELECT 1'),
    wire.extendedQuery('SELECT $1::text', ['two']),
    wire.query(`SELECT 'three'`),
  ])
  for (let cut = 1; cut < bytes.length; cut += 1) {
    await client.sendCut(bytes, [cut])
    const answer = [...(await client.until('Z')), ...(await client.until('Z')), ...(await client.until('Z'))]
    assert.deepEqual(rowsOf(answer), [['1'], ['two'], ['three']], `cut at ${cut}`)
  }
})

test('frames may come in single bytes', async () => {
  const client = await bed.open()
  const bytes = Buffer.concat([wire.extendedQuery('SELECT $1::text', ['slow']), wire.query('SELECT 1')])
  await client.sendCut(
    bytes,
    Array.from({ length: bytes.length - 1 }, (_, at) => at + 1),
  )
  assert.equal(shapeOf([...(await client.until('Z')), ...(await client.until('Z'))]), '12TDCZTDCZ')
})
