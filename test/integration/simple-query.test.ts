import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open()

test('one statement: description, rows, tag, ready', async () => {
  const client = await bed.open()
  const answer = await client.query('SELECT i, i * i FROM generate_series(1, 3) i')
  assert.equal(shapeOf(answer), 'TDDDCZ')
  assert.deepEqual(rowsOf(answer), [
    ['1', '1'],
    ['2', '4'],
    ['3', '9'],
  ])
})

test('several statements in one string answer one after the other, with one ready at the end', async () => {
  const client = await bed.open()
  const answer = await client.query(
    'SELECT 1; CREATE TEMP TABLE t (x int); INSERT INTO t VALUES (2), (3); SELECT x FROM t',
  )
  assert.equal(shapeOf(answer), 'TDCCCTDDCZ')
  assert.deepEqual(
    answer.filter((message) => message.type === 'C').map((message) => message.strings[0]),
    ['SELECT 1', 'CREATE TABLE', 'INSERT 0 2', 'SELECT 2'],
  )
})

test('an error in the middle of several statements undoes them all and ends them', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE undone (x int)')
  const answer = await client.query('INSERT INTO undone VALUES (1); SELECT 1/0; INSERT INTO undone VALUES (2)')
  assert.equal(shapeOf(answer), 'CEZ')
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM undone')), '0')
})

test('an empty query gets EmptyQueryResponse, also one of comments and semicolons', async () => {
  const client = await bed.open()
  for (const sql of ['', '   ', '-- nothing', '/* nothing */', ';', ' ; ; ']) {
    assert.equal(shapeOf(await client.query(sql)), 'IZ', JSON.stringify(sql))
  }
  assert.equal(shapeOf(await client.query('SELECT 1;;')), 'TDCZ')
})

test('an error carries all its fields to the client unchanged', async () => {
  const client = await bed.open()
  await client.query(`CREATE TABLE checked (x int CONSTRAINT positive CHECK (x > 0))`)
  const answer = await client.query('INSERT INTO checked VALUES (-1)')
  const { fields } = answer[0]!
  assert.equal(fields.C, '23514')
  assert.equal(fields.n, 'positive')
  assert.equal(fields.t, 'checked')
  assert.match(fields.D ?? '', /Failing row contains/)
  assert.equal(answer.at(-1)?.body.toString(), 'I')
})

test('notices arrive before the tag of the statement that raised them', async () => {
  const client = await bed.open()
  const answer = await client.query(`DO $$ BEGIN RAISE NOTICE 'first'; RAISE WARNING 'second'; END $$`)
  assert.deepEqual(
    answer.map((message) => message.type),
    ['N', 'N', 'C', 'Z'],
  )
  assert.equal(answer[0]?.fields.M, 'first')
  assert.equal(answer[1]?.fields.S, 'WARNING')
})

test('a changed parameter is reported to the client who changed it', async () => {
  const client = await bed.open()
  const answer = await client.query(`SET application_name = 'reported'; SET TimeZone = 'Asia/Tokyo'`)
  assert.equal(client.parameters.get('application_name'), 'reported')
  assert.equal(client.parameters.get('TimeZone'), 'Asia/Tokyo')
  assert.equal(shapeOf(answer), 'CCZ')
})

test('the transaction status follows BEGIN, an error, and ROLLBACK', async () => {
  const client = await bed.open()
  const status = async (sql: string): Promise<string> => (await client.query(sql)).at(-1)!.body.toString()
  assert.equal(await status('BEGIN'), 'T')
  assert.equal(await status('SELECT 1'), 'T')
  assert.equal(await status('SELECT 1/0'), 'E')
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), ['25P02'])
  assert.equal(await status('ROLLBACK'), 'I')
})

test('AND CHAIN opens the next transaction at once, and it is the same session', async () => {
  const client = await bed.open()
  await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
  assert.equal((await client.query('COMMIT AND CHAIN')).at(-1)?.body.toString(), 'T')
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'serializable')
  assert.equal((await client.query('ROLLBACK')).at(-1)?.body.toString(), 'I')
})

test('a function call of the old protocol is answered', async () => {
  const client = await bed.open()
  const oid = Number(onlyValue(await client.query(`SELECT 'abs(int4)'::regprocedure::oid`)))
  const answer = await client.exchange(wire.functionCall(oid, ['-7']))
  assert.equal(shapeOf(answer), 'VZ')
  assert.equal(answer[0]?.body.toString('utf8', 4), '7')
})

test('a function call that fails leaves the session usable', async () => {
  const client = await bed.open()
  const answer = await client.exchange(wire.functionCall(1, ['x']))
  assert.equal(shapeOf(answer), 'EZ')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('queries sent without waiting are answered in order', async () => {
  const client = await bed.open()
  const count = 200
  const answer = await client.exchange(
    Buffer.concat(Array.from({ length: count }, (_, n) => wire.query(`SELECT ${n}`))),
    count,
  )
  assert.deepEqual(
    rowsOf(answer).map(([value]) => value),
    Array.from({ length: count }, (_, n) => String(n)),
  )
})

test('a client may say goodbye right behind its last query', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE last_words (x int)')
  client.send(wire.query('INSERT INTO last_words VALUES (1)'), wire.terminate())
  const { messages } = await client.untilClosed()
  assert.equal(shapeOf(messages), 'CZ')
  const reader = await bed.open()
  assert.equal(onlyValue(await reader.query('SELECT count(*) FROM last_words')), '1')
})

test('what a client sent before it vanished is finished or undone, never half done', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE halves (x int)')
  client.send(wire.query('BEGIN'), wire.query('INSERT INTO halves VALUES (1)'))
  await client.until('Z')
  await client.until('Z')
  client.close()
  const reader = await bed.open()
  // Ends when the vanished client's transaction has: its insert holds a lock until then.
  assert.deepEqual(sqlstatesOf(await reader.query('ALTER TABLE halves ADD COLUMN y int')), [])
  assert.equal(onlyValue(await reader.query('SELECT count(*) FROM halves')), '0')
})

test('a message of an unknown type ends the session with a protocol error', async () => {
  const client = await bed.open()
  client.send(wire.frame('!', 'what is this'))
  const { messages } = await client.untilClosed()
  assert.equal(messages[0]?.fields.S, 'FATAL')
  assert.equal(messages[0]?.sqlstate, '08P01')
})

test('a message whose length is impossible ends the session', async () => {
  const client = await bed.open()
  client.send(Buffer.from('Q'), wire.int32(3))
  const { messages } = await client.untilClosed()
  assert.ok(messages.length <= 1)
})

test('UTF-8 and zero-free binary text come back as they were sent', async () => {
  const client = await bed.open()
  const text = `ünïcödé \u{1f40d} '' $1 \\ \t`
  const answer = await client.query(`SELECT E'${text.replaceAll('\\', '\\\\')}'`)
  assert.equal(onlyValue(answer), text.replaceAll("''", "'"))
})
