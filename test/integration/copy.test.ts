import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open()

/** A new table with an int and a text column. */
let tables = 0
async function newTable(): Promise<string> {
  tables += 1
  const table = `copied_${tables}`
  const client = await bed.open()
  await client.query(`CREATE TABLE ${table} (x int, y text)`)
  return table
}

async function countOf(table: string): Promise<string | null> {
  return onlyValue(await (await bed.open()).query(`SELECT count(*) FROM ${table}`))
}

test('COPY out: rows as they are, then the tag', async () => {
  const client = await bed.open()
  const answer = await client.query(`COPY (SELECT i, 'row ' || i FROM generate_series(1, 3) i) TO STDOUT`)
  assert.equal(shapeOf(answer), 'HdddcCZ')
  assert.equal(
    answer
      .filter((message) => message.type === 'd')
      .map((message) => message.body.toString())
      .join(''),
    '1\trow 1\n2\trow 2\n3\trow 3\n',
  )
})

test('COPY in: data in any portions, then done', async () => {
  const table = await newTable()
  const client = await bed.open()
  client.send(wire.query(`COPY ${table} FROM STDIN`))
  assert.equal(shapeOf(await client.until('G')), 'G')
  client.send(wire.copyData('1\tone\n2\tt'), wire.copyData('wo\n3\tthr'), wire.copyData('ee\n'), wire.copyDone())
  const answer = await client.until('Z')
  assert.equal(shapeOf(answer), 'CZ')
  assert.equal(answer[0]?.strings[0], 'COPY 3')
  assert.equal(await countOf(table), '3')
})

test('COPY in that the client gives up leaves nothing', async () => {
  const table = await newTable()
  const client = await bed.open()
  client.send(wire.query(`COPY ${table} FROM STDIN`))
  await client.until('G')
  client.send(wire.copyData('1\tone\n'), wire.copyFail('changed my mind'))
  const answer = await client.until('Z')
  assert.deepEqual(sqlstatesOf(answer), ['57014'])
  assert.equal(await countOf(table), '0')
})

test('COPY in with a wrong row: the error comes although data is still on its way, and the session goes on', async () => {
  const table = await newTable()
  const client = await bed.open()
  client.send(wire.query(`COPY ${table} FROM STDIN`))
  await client.until('G')
  client.send(wire.copyData('not a number\tx\n'))
  for (let n = 0; n < 2_000; n += 1) client.send(wire.copyData(`${n}\t${'x'.repeat(500)}\n`))
  client.send(wire.copyDone())
  const answer = await client.until('Z')
  assert.deepEqual(sqlstatesOf(answer), ['22P02'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  assert.equal(await countOf(table), '0')
})

test('COPY in with everything sent ahead of the answer', async () => {
  const table = await newTable()
  const client = await bed.open()
  const rows = Array.from({ length: 500 }, (_, n) => wire.copyData(`${n}\tearly\n`))
  client.send(wire.query(`COPY ${table} FROM STDIN`), ...rows, wire.copyDone(), wire.query('SELECT 1'))
  assert.equal(shapeOf(await client.until('Z')), 'GCZ')
  assert.equal(onlyValue(await client.until('Z')), '1')
  assert.equal(await countOf(table), '500')
})

test('COPY in through the extended protocol ends at its Sync, and data behind an error is dropped', async () => {
  const table = await newTable()
  const client = await bed.open()
  client.send(wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute(''), wire.flush())
  assert.equal(shapeOf(await client.until('G')), '12G')
  client.send(wire.copyData('1\tone\n'), wire.copyDone(), wire.sync())
  assert.equal(shapeOf(await client.until('Z')), 'CZ')
  client.send(wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute(''), wire.flush())
  await client.until('G')
  client.send(wire.copyData('wrong\n'), wire.copyData('2\ttwo\n'), wire.copyDone(), wire.sync())
  assert.equal(shapeOf(await client.until('Z')), 'EZ')
  assert.equal(await countOf(table), '1')
})

test('COPY in through the extended protocol with everything, its Sync too, sent ahead of the answer', async () => {
  const table = await newTable()
  const client = await bed.open()
  const copy = [wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute('')]
  client.send(...copy, wire.copyData('1\tone\n'), wire.copyDone(), wire.sync(), wire.query('SELECT 1'))
  assert.equal(shapeOf(await client.until('Z')), '12GCZ')
  assert.equal(onlyValue(await client.until('Z')), '1')
  client.send(...copy, wire.copyData('2\ttwo\n'), wire.copyFail('no'), wire.sync(), wire.query('SELECT 2'))
  assert.equal(shapeOf(await client.until('Z')), '12GEZ')
  assert.equal(onlyValue(await client.until('Z')), '2')
  assert.equal(await countOf(table), '1')
})

test('two COPYs in of one extended query, sent ahead of the answers', async () => {
  const table = await newTable()
  const client = await bed.open()
  const copy = [wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute('')]
  const one = [...copy, wire.copyData('1\tx\n'), wire.copyDone()]
  client.send(...one, ...one, wire.sync(), wire.query('SELECT 1'))
  assert.equal(shapeOf(await client.until('Z')), '12GC12GCZ')
  assert.equal(onlyValue(await client.until('Z')), '1')
  assert.equal(await countOf(table), '2')
})

test('a Sync among the data of a COPY in is ignored, simple or extended, sent early or late', async () => {
  const table = await newTable()
  const client = await bed.open()
  const extended = [wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute('')]
  client.send(...extended, wire.sync(), wire.copyData('1\tx\n'), wire.copyDone(), wire.sync(), wire.query('SELECT 1'))
  assert.equal(shapeOf(await client.until('Z')), '12GCZ')
  assert.equal(onlyValue(await client.until('Z')), '1')
  const simple = wire.query(`COPY ${table} FROM STDIN`)
  client.send(simple, wire.sync(), wire.copyData('2\tx\n'), wire.copyDone(), wire.query('SELECT 2'))
  assert.equal(shapeOf(await client.until('Z')), 'GCZ')
  assert.equal(onlyValue(await client.until('Z')), '2')
  client.send(simple)
  await client.until('G')
  client.send(wire.sync(), wire.copyData('3\tx\n'), wire.sync(), wire.copyDone(), wire.query('SELECT 3'))
  assert.equal(shapeOf(await client.until('Z')), 'CZ')
  assert.equal(onlyValue(await client.until('Z')), '3')
  assert.equal(await countOf(table), '3')
})

test('several COPYs in one string', async () => {
  const table = await newTable()
  const client = await bed.open()
  client.send(wire.query(`COPY ${table} FROM STDIN; SELECT 1; COPY ${table} TO STDOUT`))
  await client.until('G')
  client.send(wire.copyData('1\tx\n'), wire.copyDone())
  assert.equal(shapeOf(await client.until('Z')), 'CTDCHdcCZ')
})

test('COPY in that fails at once does not take the data for the next messages', async () => {
  const client = await bed.open()
  const data = Array.from({ length: 50 }, () => wire.copyData('1\tx\n'))
  client.send(wire.query('COPY there_is_no_such_table FROM STDIN'), ...data, wire.copyDone())
  client.send(wire.query(`SELECT 'still here'`))
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['42P01'])
  assert.equal(onlyValue(await client.until('Z')), 'still here')
})

test('CopyData outside of a COPY is ignored, as PostgreSQL does', async () => {
  const client = await bed.open()
  client.send(wire.copyData('stray'), wire.copyDone(), wire.copyFail('stray'), wire.query('SELECT 1'))
  assert.equal(onlyValue(await client.until('Z')), '1')
})

test('a message that may not come during COPY in ends the connection, in the words of PostgreSQL', async () => {
  const table = await newTable()
  const simple = [wire.query(`COPY ${table} FROM STDIN`)]
  const extended = [wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute('')]
  // What a router would put another message before, or answer by itself.
  const strays = {
    50: [wire.parse('mine', 'SELECT 2'), wire.sync()],
    51: [wire.query('PREPARE mine AS SELECT 2')],
    43: [wire.close('S', 'mine'), wire.sync()],
    44: [wire.describe('S', 'mine'), wire.sync()],
    42: [wire.bind('', 'mine'), wire.execute(''), wire.sync()],
  }
  for (const copy of [simple, extended]) {
    for (const [type, stray] of Object.entries(strays)) {
      const client = await bed.open()
      await client.exchange(Buffer.concat([wire.parse('mine', 'SELECT 1'), wire.sync()]))
      client.send(...copy, wire.flush())
      await client.until('G')
      client.send(...stray)
      assert.deepEqual((await client.untilClosed()).messages.map(String), [
        `E(08P01 unexpected message type 0x${type} during COPY from stdin)`,
        'E(08P01 terminating connection because protocol synchronization was lost)',
      ])
    }
  }
  assert.equal(await countOf(table), '0')
})

test('the same sent ahead of the answer', async () => {
  const table = await newTable()
  const copy = [wire.parse('', `COPY ${table} FROM STDIN`), wire.bind('', ''), wire.execute('')]
  for (const [type, stray] of Object.entries({ 50: wire.parse('mine', 'SELECT 2'), 51: wire.query('SELECT 2') })) {
    const client = await bed.open()
    client.send(wire.parse('mine', 'SELECT 1'), ...copy, stray, wire.sync())
    const { messages } = await client.untilClosed()
    assert.equal(shapeOf(messages), '112GEE')
    assert.match(String(messages.at(-2)), new RegExp(`^E\\(08P01 unexpected message type 0x${type} `))
  }
})

test('COPY out of many rows to a client that reads slowly is complete', async () => {
  const client = await bed.open()
  client.send(wire.query(`COPY (SELECT i, repeat('x', 1000) FROM generate_series(1, 30000) i) TO STDOUT`))
  await client.until('H')
  client.stopReading()
  await new Promise((resolve) => setTimeout(resolve, 300))
  client.readAgain()
  const answer = await client.until('Z')
  assert.equal(answer.filter((message) => message.type === 'd').length, 30_000)
  assert.equal(answer.at(-2)?.strings[0], 'COPY 30000')
})

test('a COPY out may be cancelled by an error of its own in the middle', async () => {
  const client = await bed.open()
  const answer = await client.query('COPY (SELECT 1 / (5000 - i) FROM generate_series(1, 10000) i) TO STDOUT')
  assert.deepEqual(sqlstatesOf(answer), ['22012'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})
