import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { ContinuityBed } from '../support/continuity-bed.ts'
import type { DirectSql } from '../support/mixed-load.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

/** One server, which ends all of its backends and recovers when one of them is killed. */
const bed = await ContinuityBed.open({}, 0)
/** SQL on the server itself, again until it takes any: it may be recovering. */
const sql: DirectSql = async (text) =>
  await waitUntil('the server', () => bed.on('shard-1')(text), { timeoutMs: 60_000 })

/** A connection to the server itself. */
async function openOnServer(): Promise<pg.Client> {
  const { host, port } = bed.shards[0]!
  const client = new pg.Client({ host, port, ...bed.login })
  client.on('error', () => {})
  await client.connect()
  return client
}

/** A connection that ends with all others when the server has noticed that one of its backends has crashed. */
async function openWitness(): Promise<{ readonly ended: Promise<unknown> }> {
  const client = await waitUntil('the server', openOnServer)
  return { ended: new Promise((resolve) => client.once('end', resolve)) }
}

/** Whoever reads `gate` waits, until the server crashes: what works at that moment is known, however slow the machine is. */
async function closeGate(): Promise<void> {
  await waitUntil('the gate', async () => await (await openOnServer()).query('BEGIN; LOCK TABLE gate'))
}
await sql('CREATE TABLE IF NOT EXISTS once (x text)')
await sql('CREATE TABLE IF NOT EXISTS gate AS SELECT 1 AS one')

async function pidOf(client: WireClient): Promise<number> {
  return Number(onlyValue(await client.query('SELECT pg_backend_pid()')))
}

/** The backend works on a text like this. */
async function works(text: string): Promise<void> {
  await waitUntil(`${text} to run`, async () => {
    const rows = await sql(`SELECT 1 AS one FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%${text}%'
      AND pid <> pg_backend_pid()`)
    return rows.length > 0
  })
}

/** Kills the backend of a client while it works on what `frames` ask, without a word to anybody. */
async function killUnder(client: WireClient, frames: Buffer, text: string): Promise<WireMessage[]> {
  const pid = await pidOf(client)
  await closeGate()
  client.send(frames)
  await works(text)
  process.kill(pid, 'SIGKILL')
  return await client.until('Z')
}

const forms = [
  ['a query', (text: string) => wire.query(text)],
  ['an extended query', (text: string) => wire.extendedQuery(text)],
] as const

for (const [what, form] of forms) {
  test(`${what} that reads, nothing delivered: it is run again, and nobody notices`, async () => {
    const client = await bed.open()
    const answer = await killUnder(client, form('SELECT 7 FROM gate'), 'SELECT 7')
    assert.equal(onlyValue(answer), '7')
    client.close()
  })

  test(`${what} that writes: it is told as unknown, with what to do, and never run again`, async () => {
    const client = await bed.open()
    const answer = await killUnder(client, form(`INSERT INTO once SELECT '${what}' FROM gate`), 'INSERT INTO once')
    assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['08007'], 'I'])
    assert.match(
      String(answer.find(({ type }) => type === 'E')?.fields.H),
      /^look whether what it has written is there/,
    )
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    assert.deepEqual(await sql(`SELECT x FROM once WHERE x = '${what}'`), [])
    client.close()
  })
}

test('a read behind which more was sent: all of it is run again, in order', async () => {
  const client = await bed.open()
  const frames = Buffer.concat([wire.query('SELECT 8 FROM gate'), wire.extendedQuery('SELECT 9')])
  const first = await killUnder(client, frames, 'SELECT 8')
  assert.deepEqual([onlyValue(first), onlyValue(await client.until('Z'))], ['8', '9'])
  client.close()
})

test('a read behind which a write was sent: the write happens once if that is what its client was told, and else not', async () => {
  const client = await bed.open()
  const frames = Buffer.concat([wire.query('SELECT 8 FROM gate'), wire.query(`INSERT INTO once VALUES ('behind')`)])
  await killUnder(client, frames, 'SELECT 8')
  const [told] = sqlstatesOf(await client.until('Z'))
  // It may have been kept back until the read was answered, and then it was never sent to the server that died.
  if (told !== undefined) assert.equal(told, '08007')
  const rows = await sql(`SELECT x FROM once WHERE x = 'behind'`)
  assert.equal(rows.length, told === undefined ? 1 : 0)
  client.close()
})

test('a read of which rows were delivered goes on behind them, and no row comes twice', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query(`SELECT i, repeat('x', 1000), pg_sleep(0.002) FROM generate_series(1, 1000) i`))
  const messages: WireMessage[] = [await client.next(), await client.next()]
  process.kill(pid, 'SIGKILL')
  while (messages.at(-1)?.type !== 'Z') messages.push(await client.next())
  assert.deepEqual(sqlstatesOf(messages), [])
  const numbers = rowsOf(messages).map(([number]) => Number(number))
  assert.deepEqual(
    numbers,
    Array.from({ length: 1000 }, (_, index) => index + 1),
  )
  client.close()
})

test('a read in a transaction whose answers differ: it is not run again outside of it', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  // It asks for the id of its backend.
  const answer = await killUnder(client, wire.query('SELECT 7 FROM gate'), 'SELECT 7')
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['40001'], 'E'])
  await client.query('ROLLBACK')
  client.close()
})

test('a COMMIT in doubt is told as such', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  await client.query(`INSERT INTO once VALUES ('doubt')`)
  const answer = await killUnder(client, wire.query('SELECT one FROM gate; COMMIT'), 'COMMIT')
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['08007'], 'I'])
  client.close()
})

test('a query that takes its server down is run again once, and not for ever', async () => {
  const client = await bed.open()
  const first = await pidOf(client)
  client.send(wire.query('SELECT 7 FROM pg_sleep(30)'))
  for (let round = 0; round < 2; round++) {
    // It ends with all others when the server has noticed: until then what is run again may be on one that ends as well.
    const witness = await openWitness()
    const pid = await waitUntil('it to run', async () => {
      const [row] = await sql(`SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE 'SELECT 7%'`)
      return row?.pid
    })
    assert.equal(Number(pid) === first, round === 0)
    process.kill(Number(pid), 'SIGKILL')
    await witness.ended
  }
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['08006'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  client.close()
})

test('a backend that somebody ends on purpose is not given its query again', async () => {
  const client = await bed.open()
  const pid = await pidOf(client)
  client.send(wire.query('SELECT 7 FROM pg_sleep(30)'))
  await works('SELECT 7')
  await sql(`SELECT pg_terminate_backend(${pid})`)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['08006'])
  client.close()
})

test('prepared statements are still there, and reads of them are run again', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('slow', 'SELECT $1::int FROM gate'), wire.sync()]))
  const frames = Buffer.concat([wire.bind('', 'slow', ['5']), wire.execute(''), wire.sync()])
  assert.equal(onlyValue(await killUnder(client, frames, '::int FROM gate')), '5')
  assert.equal(onlyValue(await client.exchange(frames)), '5')
  client.close()
})

test('killed at any moment: each query is answered once and rightly, or told; no write happens twice', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => bed.open()))
  let isRunning = true
  const killer = (async () => {
    // The moments differ by what the clients are at.
    for (let round = 0; round < 6; round++) {
      await new Promise((resolve) => setTimeout(resolve, 60 + round * 37))
      const rows = await sql(`SELECT pid FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%any moment%'
        AND pid <> pg_backend_pid() LIMIT 1`)
      if (rows[0] !== undefined) process.kill(Number(rows[0].pid), 'SIGKILL')
    }
    isRunning = false
  })()
  const confirmed: string[] = []
  await Promise.all(
    clients.map(async (client, number) => {
      for (let turn = 0; isRunning; turn++) {
        const id = `${number}:${turn}`
        const isWrite = (number + turn) % 3 === 0
        const text = isWrite
          ? `INSERT INTO once SELECT '${id}' FROM pg_sleep(0.005) /* any moment */`
          : `SELECT '${id}' FROM pg_sleep(0.005) /* any moment */`
        const answer = await client.exchange(turn % 2 === 0 ? wire.query(text) : wire.extendedQuery(text))
        assert.ok(
          !answer.some((message) => message.type === 'N' && message.sqlstate.startsWith('57P')),
          answer.join(' '),
        )
        const [told] = sqlstatesOf(answer)
        // A read whose answer had begun, or that was hit twice, is told as well.
        if (told !== undefined) assert.equal(told, isWrite ? '08007' : '08006')
        else if (isWrite) confirmed.push(id)
        else assert.equal(onlyValue(answer), id)
      }
    }),
  )
  await killer
  const rows = await sql('SELECT x, count(*)::int AS times FROM once GROUP BY x')
  const found = new Map(rows.map(({ x, times }) => [String(x), Number(times)]))
  for (const id of confirmed) assert.equal(found.get(id), 1, id)
  assert.ok([...found.values()].every((times) => times === 1))
  for (const client of clients) client.close()
})
