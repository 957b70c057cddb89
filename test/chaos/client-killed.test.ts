import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ settings: { pool: { size: 2 } } })
await bed.sql('CREATE TABLE target (x text); GRANT ALL ON target TO PUBLIC')

const endings: readonly (readonly [string, (client: WireClient) => void])[] = [
  ['reset', (client) => client.reset()],
  ['closed', (client) => client.close()],
]

/** Nobody holds a lock on the table, and nothing was put into it. */
async function nothingHappened(): Promise<void> {
  const other = await bed.open()
  await other.query(`SET lock_timeout = '10s'`)
  assert.deepEqual(sqlstatesOf(await other.query('LOCK TABLE target IN ACCESS EXCLUSIVE MODE NOWAIT')), ['25P01'])
  assert.deepEqual(sqlstatesOf(await other.query('BEGIN; LOCK TABLE target IN ACCESS EXCLUSIVE MODE; COMMIT')), [])
  assert.equal(onlyValue(await other.query('SELECT count(*) FROM target')), '0')
}

async function running(text: string): Promise<number> {
  const backends = await bed.cluster.backends(bed.database)
  return backends.filter(({ state, query }) => state === 'active' && String(query).includes(text)).length
}

/** It sends no more, and would still listen. */
const halfClosed = ['half-closed', (client: WireClient) => client.endWriting()] as const

/** Its connection is closed from the other side too. */
async function letGo(client: WireClient): Promise<void> {
  await waitUntil('the end of the connection', () => client.ending !== null)
}

for (const [how, end] of [...endings, halfClosed]) {
  test(`${how} in the middle of COPY in: nothing is stored, the server connection is usable`, async () => {
    const client = await bed.open()
    client.send(wire.query('COPY target FROM STDIN'))
    await client.until('G')
    await client.sent(wire.copyData('one\n'))
    await client.sent(wire.copyData('half of a ro'))
    end(client)
    await nothingHappened()
    await letGo(client)
  })

  test(`${how} in the middle of a CopyData message: nothing is stored`, async () => {
    const client = await bed.open()
    client.send(wire.query('COPY target FROM STDIN'))
    await client.until('G')
    const message = wire.copyData(`${'x'.repeat(5_000)}\n`)
    await client.sent(message.subarray(0, 3_000))
    end(client)
    await nothingHappened()
    await letGo(client)
  })

  test(`${how} in a transaction: it is rolled back`, async () => {
    const client = await bed.open()
    await client.query(`BEGIN; INSERT INTO target VALUES ('one')`)
    end(client)
    await nothingHappened()
    await letGo(client)
  })

  for (const cut of [1, 4, 5, 20]) {
    test(`${how} after ${cut} bytes of a message: what is half there is not run`, async () => {
      const client = await bed.open()
      const message = wire.query(`INSERT INTO target VALUES ('half')`)
      await client.sent(message.subarray(0, cut))
      end(client)
      await nothingHappened()
      await letGo(client)
    })
  }

  test(`${how} before Sync: nothing is committed`, async () => {
    const client = await bed.open()
    await client.sent(
      Buffer.concat([wire.parse('', `INSERT INTO target VALUES ('unsynced')`), wire.bind('', ''), wire.execute('')]),
    )
    end(client)
    await nothingHappened()
    await letGo(client)
  })

  test(`${how} during login`, async () => {
    for (let n = 0; n < 10; n += 1) {
      const client = await bed.dial()
      await client.sent(wire.startup({ user: bed.role.user, database: bed.database }))
      if (n % 2 === 0) await client.next()
      end(client)
      await letGo(client)
    }
  })
}

for (const [how, end] of endings) {
  test(`${how} in the middle of COPY out: the query ends on the server`, async () => {
    const client = await bed.open()
    client.send(wire.query(`COPY (SELECT repeat('x', 10000) FROM generate_series(1, 1000000)) TO STDOUT`))
    await client.until('d')
    end(client)
    await waitUntil('the query to end', async () => {
      const backends = await bed.cluster.backends(bed.database)
      return backends.every((backend) => backend.state !== 'active')
    })
    await nothingHappened()
  })

  test(`${how} while waiting for a server connection: it is forgotten`, {
    skip: isDirect && 'of the pool',
  }, async () => {
    const holders = await bed.openMany(2)
    for (const holder of holders) await holder.query('BEGIN')
    const client = await bed.open()
    client.send(wire.query(`INSERT INTO target VALUES ('late')`))
    await waitUntil('the client to wait', async () => (await bed.pool()).cl_waiting === 1)
    end(client)
    await waitUntil('nobody to wait', async () => (await bed.pool()).cl_waiting === 0)
    for (const holder of holders) await holder.query('COMMIT')
    await nothingHappened()
  })

  test(`${how} during a long query: the query is cancelled, and the server connection serves others`, {
    skip: isDirect && 'PostgreSQL looks only when it has something to say',
  }, async () => {
    for (const client of await bed.openMany(2)) {
      await client.sent(wire.query(`SELECT pg_sleep(60) /* nobody's, ${how} */`))
      await waitUntil('the query to run', async () => (await running(`nobody's, ${how}`)) > 0)
      end(client)
    }
    const other = await bed.open()
    assert.equal(onlyValue(await other.query('SELECT 1')), '1')
    await waitUntil('the queries to end', async () => (await running(`nobody's, ${how}`)) === 0)
  })
}

test('a client that closes its direction behind a query gets the answer, then the end', async () => {
  const client = await bed.open()
  client.send(wire.query(`SELECT 'answer' FROM pg_sleep(0.2)`))
  client.endWriting()
  const { messages, how } = await client.untilClosed()
  assert.equal(shapeOf(messages), 'TDCZ')
  assert.equal(onlyValue(messages), 'answer')
  assert.equal(how, 'fin')
})

test('a client that closes its direction behind a long query gets the answer: it was only asked whether it listens', async () => {
  const client = await bed.open()
  client.send(wire.query(`SELECT 'answer' FROM pg_sleep(1.3)`))
  client.endWriting()
  const { messages } = await client.untilClosed()
  assert.equal(shapeOf(messages.filter(({ type }) => type !== 'S')), 'TDCZ')
})

test('a client that closes its direction behind a long pipeline gets all answers', async () => {
  const client = await bed.open()
  const count = 100
  client.send(Buffer.concat(Array.from({ length: count }, (_, n) => wire.query(`SELECT ${n}`))))
  client.endWriting()
  const { messages } = await client.untilClosed()
  assert.equal(messages.filter((message) => message.type === 'Z').length, count)
})

test('a client that closes its direction while idle is let go', async () => {
  const client = await bed.open()
  client.endWriting()
  const { messages } = await client.untilClosed()
  assert.deepEqual(messages, [])
})

test('a client that closes its direction in a transaction: it is rolled back', async () => {
  const client = await bed.open()
  await client.query(`BEGIN; INSERT INTO target VALUES ('one')`)
  client.endWriting()
  await client.untilClosed()
  await nothingHappened()
})

test('hundreds of clients that come and vanish at all moments leave nothing', async () => {
  await Promise.all(
    Array.from({ length: 12 }, async (_, lane) => {
      for (let n = 0; n < 12; n += 1) {
        const client = await bed.open()
        if (n % 3 !== 0) client.send(wire.query(`SELECT pg_sleep(0.00${lane % 5})`))
        if (n % 3 === 2) await client.next()
        if (lane % 2 === 0) client.reset()
        else client.close()
      }
    }),
  )
  await nothingHappened()
})

test('half-closed behind a pipeline that has to wait for its own beginning: all of it is answered', async () => {
  const client = await bed.open()
  const listen = [wire.parse('', 'LISTEN channel'), wire.bind('', ''), wire.execute(''), wire.sync()]
  client.send(wire.parse('p', 'SELECT 1'), wire.bind('', 'p'), wire.sync(), ...listen)
  client.endWriting()
  const { messages } = await client.untilClosed()
  assert.equal(shapeOf(messages.filter(({ type }) => type !== 'S')), '12Z12CZ')
})
