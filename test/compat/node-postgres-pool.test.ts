import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'

const bed = await Testbed.open({ settings: { pool: { size: 3 } } })

/** A query that can be named to `cancel`, and its outcome. */
function start(client: pg.Client, text: string): { query: pg.Query; outcome: Promise<string> } {
  const query: pg.Query = new pg.Query(text)
  const outcome = new Promise<string>((resolve) => {
    query.on('error', (error) => resolve(error instanceof pg.DatabaseError ? String(error.code) : error.message))
    query.on('end', () => resolve('done'))
  })
  client.query(query)
  return { query, outcome }
}

/** What node-postgres has for it: a client that does not log in, and sends the other one's process id and key. */
function cancel(client: pg.Client, query: pg.Query): void {
  const canceller = new pg.Client({ ...bed.address }) as pg.Client & {
    cancel(client: pg.Client, query: pg.Query): void
  }
  canceller.cancel(client, query)
}

async function sleepers(): Promise<number> {
  const backends = await bed.cluster.backends(bed.database)
  return backends.filter(({ state, query }) => state === 'active' && String(query).includes('pg_sleep(30)')).length
}

test('serializable transactions that conflict are repeated until they succeed, and none gets lost', async () => {
  const pool = bed.openPool({ max: 8 })
  await pool.query('CREATE TABLE counters (id int PRIMARY KEY, n int); INSERT INTO counters VALUES (1, 0), (2, 0)')
  async function increment(): Promise<void> {
    const client = await pool.connect()
    try {
      await client.query('BEGIN ISOLATION LEVEL SERIALIZABLE')
      const { rows } = await client.query('SELECT sum(n)::int AS total FROM counters')
      await client.query('UPDATE counters SET n = $1 WHERE id = $2', [rows[0].total + 1, 1])
      await client.query('UPDATE counters SET n = 0 WHERE id = 2')
      await client.query('COMMIT')
    } catch (error) {
      await client.query('ROLLBACK')
      assert.match(String((error as pg.DatabaseError).code), /^40001|40P01$/)
      throw error
    } finally {
      client.release()
    }
  }
  await Promise.all(
    Array.from({ length: 25 }, async () => {
      for (;;) {
        if (
          await increment().then(
            () => true,
            () => false,
          )
        )
          return
      }
    }),
  )
  assert.deepEqual((await pool.query('SELECT n FROM counters ORDER BY id')).rows, [{ n: 25 }, { n: 0 }])
})

test('named statements: the same name for other texts in each client, on shared server connections', async () => {
  const clients = await Promise.all(Array.from({ length: 8 }, () => bed.connectPg()))
  await Promise.all(
    clients.map(async (client, who) => {
      for (let n = 0; n < 60; n += 1) {
        const name = `statement ${n % 12}`
        const text = `SELECT $1::int + ${who} AS sum, '${name}' AS name`
        const { rows } = await client.query({ name, text, values: [n] })
        assert.deepEqual(rows, [{ sum: n + who, name }])
      }
    }),
  )
})

test('a named statement survives errors in it, a failed transaction, and a change of its table', async () => {
  const client = await bed.connectPg()
  await client.query('CREATE TABLE changing (n int); INSERT INTO changing VALUES (1)')
  const divide = { name: 'divide', text: 'SELECT 10 / $1::int AS result' }
  const all = { name: 'all', text: 'SELECT * FROM changing' }
  assert.deepEqual((await client.query(divide, [5])).rows, [{ result: 2 }])
  await assert.rejects(client.query(divide, [0]), { code: '22012' })
  await client.query('BEGIN')
  await assert.rejects(client.query(divide, [0]), { code: '22012' })
  await assert.rejects(client.query(divide, [5]), { code: '25P02' })
  await client.query('ROLLBACK')
  assert.deepEqual((await client.query(divide, [2])).rows, [{ result: 5 }])
  assert.deepEqual((await client.query(all)).rows, [{ n: 1 }])
  await client.query('ALTER TABLE changing ADD COLUMN x int')
  await assert.rejects(client.query(all), { code: '0A000' })
  const other = await bed.connectPg()
  assert.deepEqual((await other.query(all)).rows, [{ n: 1, x: null }])
})

test('more clients than servers sleep: each is cancelled alone, whether it runs or waits', async () => {
  const clients = await Promise.all(Array.from({ length: 6 }, () => bed.connectPg()))
  const started = clients.map((client) => ({ client, ...start(client, 'SELECT pg_sleep(30)') }))
  await waitUntil('the queries to run', async () => (await sleepers()) === (isDirect ? 6 : 3))
  // The last ones wait for a server connection.
  for (const { client, query, outcome } of started.reverse()) {
    cancel(client, query)
    assert.equal(await within(5_000, 'the cancelled query', outcome), '57014')
  }
  await waitUntil('nobody to sleep', async () => (await sleepers()) === 0)
  for (const client of clients) assert.equal((await client.query('SELECT 1 AS one')).rows[0].one, 1)
})

test('notifications come at commit, in order, never those of a transaction that was rolled back', async () => {
  const listener = await bed.connectPg()
  const heard: string[] = []
  listener.on('notification', ({ channel, payload }) => heard.push(`${channel}: ${payload}`))
  await listener.query('LISTEN "Mixed Case"; LISTEN plain')
  const pool = bed.openPool({ max: 5 })
  const client = await pool.connect()
  await client.query('BEGIN')
  await client.query(`NOTIFY plain, 'undone'`)
  await client.query('ROLLBACK')
  await client.query('BEGIN')
  await client.query(`NOTIFY plain, 'first'`)
  await client.query(`NOTIFY "Mixed Case", 'second'`)
  await client.query(`SELECT pg_notify('plain', $1)`, ['ü'.repeat(3_990)])
  assert.deepEqual(heard, [])
  await client.query('COMMIT')
  client.release()
  await waitUntil('the notifications', () => heard.length === 3)
  assert.deepEqual(heard, ['plain: first', 'Mixed Case: second', `plain: ${'ü'.repeat(3_990)}`])
  await listener.query('UNLISTEN plain')
  await pool.query(`SELECT pg_notify('plain', 'unheard'), pg_notify('Mixed Case', 'heard')`)
  await waitUntil('the last one', () => heard.length === 4)
  assert.equal(heard[3], 'Mixed Case: heard')
})

test('a listener hears while it is in a transaction of its own only behind that, and its own notifications too', async () => {
  const listener = await bed.connectPg()
  const heard: string[] = []
  listener.on('notification', ({ payload }) => heard.push(String(payload)))
  await listener.query('LISTEN behind')
  const other = await bed.connectPg()
  await listener.query('BEGIN')
  await listener.query('SELECT 1')
  await other.query(`NOTIFY behind, 'from another'`)
  await listener.query(`NOTIFY behind, 'its own'`)
  assert.deepEqual(heard, [])
  await listener.query('COMMIT')
  await waitUntil('both', () => heard.length === 2)
  assert.deepEqual(heard, ['from another', 'its own'])
})

test('three hundred connections come and go, politely or not, and leave the pool as it was', async () => {
  let number = 0
  await Promise.all(
    Array.from({ length: 12 }, async () => {
      while (number < 300) {
        number += 1
        const n = number
        const client = new pg.Client({ ...bed.address, ...bed.role, database: bed.database })
        client.on('error', () => {})
        await client.connect()
        if (n % 5 === 0) await client.query('BEGIN')
        const { rows } = await client.query({ name: 'n', text: 'SELECT $1::int AS n', values: [n] })
        assert.deepEqual(rows, [{ n }])
        if (n % 4 === 0) client.query('SELECT 1').catch(() => {})
        await client.end()
      }
    }),
  )
})

test('pools that give each connection a few uses, a short life or a short rest', async () => {
  const pools = [
    bed.openPool({ max: 4, maxUses: 1 }),
    bed.openPool({ max: 4, maxUses: 3 }),
    bed.openPool({ max: 4, idleTimeoutMillis: 1 }),
    bed.openPool({ max: 4, maxLifetimeSeconds: 1 }),
  ]
  await Promise.all(
    pools.map(async (pool, which) => {
      for (let round = 0; round < 5; round += 1) {
        const numbers = Array.from({ length: 10 }, (_, n) => 10 * round + n)
        const results = await Promise.all(numbers.map((n) => pool.query('SELECT $1::int AS n', [n])))
        assert.deepEqual(
          results.map(({ rows }) => rows[0].n),
          numbers,
          `pool ${which}`,
        )
      }
    }),
  )
})

test('a pool whose clients idle does not notice that their server connections die', {
  skip: isDirect && 'each connection is one server process there',
}, async () => {
  const pool = bed.openPool({ max: 6 })
  const errors: Error[] = []
  pool.on('error', (error) => errors.push(error))
  for (let round = 0; round < 3; round += 1) {
    const results = await Promise.all(Array.from({ length: 12 }, (_, n) => pool.query('SELECT $1::int AS n', [n])))
    assert.deepEqual(
      results.map(({ rows }) => rows[0].n),
      Array.from({ length: 12 }, (_, n) => n),
    )
    await waitUntil('the server connections to rest', async () => (await bed.pool()).sv_active === 0)
    await waitUntil('them to be gone', async () => {
      // One that was about to log in has no name yet.
      await bed.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1', [bed.role.user])
      return (await bed.servers()).length === 0
    })
  }
  assert.deepEqual(errors, [])
})

test('pipeline mode: queries, named statements and errors, answered in order', async () => {
  const clients = await Promise.all(
    Array.from({ length: 6 }, () => bed.connectPg({ pipeline: true } as pg.ClientConfig)),
  )
  await Promise.all(
    clients.map(async (client) => {
      const outcomes = await Promise.allSettled(
        Array.from({ length: 150 }, (_, n) =>
          client.query({
            ...(n % 3 === 0 ? { name: 'divide' } : {}),
            text: 'SELECT 100 / $1::int AS result',
            values: [n % 10],
          }),
        ),
      )
      for (const [n, outcome] of outcomes.entries()) {
        if (outcome.status === 'fulfilled') assert.equal(outcome.value.rows[0].result, Math.trunc(100 / (n % 10)))
        else assert.deepEqual([n % 10, outcome.reason.code], [0, '22012'])
      }
    }),
  )
})

test('pipeline mode: a transaction sent in one go, with a failure in its middle', async () => {
  const client = await bed.connectPg({ pipeline: true } as pg.ClientConfig)
  await client.query('CREATE TABLE piped (n int)')
  const failing = await Promise.allSettled(
    ['BEGIN', 'INSERT INTO piped VALUES (1)', 'SELECT 1/0', 'INSERT INTO piped VALUES (2)', 'COMMIT'].map((text) =>
      client.query(text),
    ),
  )
  assert.deepEqual(
    failing.map((outcome) => (outcome.status === 'fulfilled' ? outcome.value.command : outcome.reason.code)),
    ['BEGIN', 'INSERT', '22012', '25P02', 'ROLLBACK'],
  )
  const [, , , { rows }] = await Promise.all(
    (['BEGIN', 'INSERT INTO piped VALUES (3)', 'COMMIT', 'SELECT * FROM piped'] as const).map((text) =>
      client.query(text),
    ) as [Promise<unknown>, Promise<unknown>, Promise<unknown>, Promise<pg.QueryResult>],
  )
  assert.deepEqual(rows, [{ n: 3 }])
})
