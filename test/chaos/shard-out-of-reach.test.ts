import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FaultProxy } from '../support/fault-proxy.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'
import { WireClosed } from '../support/wire-stream.ts'

let proxy: FaultProxy | undefined
const bed = await Testbed.open({
  routerOnly: true,
  shard: async (cluster) => {
    proxy = await FaultProxy.start(cluster.primary)
    return proxy
  },
  settings: {
    pool: { size: 3 },
    timeouts: { query_wait: '1500ms', server_connect: '400ms', server_login_retry: '50ms', server_check: '200ms' },
  },
})
const path = proxy!
bed.onEnd(() => path.close())

/** No server connection is left in the pool. */
async function emptyPool(): Promise<void> {
  await bed.console.query('RECONNECT')
  await waitUntil('the pool to be empty', async () => (await bed.servers()).length === 0)
}

for (const kind of ['refuse', 'reset', 'black-hole'] as const) {
  test(`${kind}: a query is told so in clear words after query_wait, and the client stays`, async () => {
    const client = await bed.open()
    await emptyPool()
    await path.inject({ kind })
    const answer = await client.query('SELECT 1', 10_000)
    assert.deepEqual(sqlstatesOf(answer), ['57P03'])
    assert.match(answer[0]?.fields.M ?? '', /did not come back in time .*: /)
    assert.match(answer[0]?.fields.H ?? '', /try again/)
    assert.equal(answer.at(-1)?.body.toString(), 'I')
    // Whoever comes now gets in, for nothing is asked of the shard yet.
    await bed.open()
    await path.heal()
    await waitUntil('the shard to be used again', async () => sqlstatesOf(await client.query('SELECT 1')).length === 0)
  })

  test(`${kind}: a query that came while the shard was away succeeds when it is back in time`, async () => {
    const client = await bed.open()
    await emptyPool()
    await path.inject({ kind })
    client.send(wire.query('SELECT 42'))
    assert.ok(await client.staysSilent(300))
    await path.heal()
    const answer = await client.until('Z')
    assert.equal(onlyValue(answer), '42')
  })
}

test('server connections that broke while nobody used them are replaced, and no client notices', async () => {
  const clients = await bed.openMany(3)
  for (let round = 0; round < 10; round += 1) {
    await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.02)')))
    path.resetAll()
    // The kernel needs a moment to tell; a query within it is the case of the next test.
    await waitUntil('the broken ones to be noticed', async () => (await bed.servers()).length === 0)
    const answers = await Promise.all(clients.map((client) => client.query('SELECT 1')))
    for (const answer of answers) assert.deepEqual(sqlstatesOf(answer), [])
  }
})

test('server connections that went silent are found out by the check, and no client notices', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  await path.inject({ kind: 'black-hole' })
  await new Promise((resolve) => setTimeout(resolve, 400))
  client.send(wire.query('SELECT 2'))
  assert.ok(await client.staysSilent(300))
  await path.heal()
  path.resetAll()
  assert.equal(onlyValue(await client.until('Z')), '2')
})

test('a connection cut in the middle of a result: an error or the end of the connection, never a wrong result', async () => {
  for (const afterBytes of [1, 5, 100, 1_000, 20_000, 150_000, 400_000]) {
    const client = await bed.open()
    await emptyPool()
    await client.query('SELECT 1')
    await path.inject({ kind: 'cut', afterBytes })
    client.send(wire.query(`SELECT repeat(i::text, 1000) FROM generate_series(100, 999) i`))
    const { messages, ended } = await untilReadyOrEnd(client)
    assert.ok(
      // Of a read that was run again, and met the same fate, the shard is not reached in time.
      ended || /^(08|57P03)/.test(sqlstatesOf(messages)[0] ?? ''),
      `after ${afterBytes}: ${messages.slice(-3).join(' ')}`,
    )
    assert.ok(!shapeOf(messages).includes('C'), 'the result was called complete')
    await path.heal()
    if (!ended) assert.equal(onlyValue(await client.query('SELECT 3')), '3')
  }
})

test('a shard that falls silent in the middle of a query: after timeouts.query and cancel the client is told, and stays', async () => {
  const router = await bed.startRouter({ timeouts: { query: '300ms', cancel: '300ms' } })
  const client = bed.onClose(await WireClient.open(router, bed.login), (one) => one.close())
  client.send(wire.query('SELECT pg_sleep(60)'))
  await waitUntil('the query to run', async () =>
    (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
  )
  await path.inject({ kind: 'black-hole' })
  const answer = await client.until('Z', 5_000)
  assert.deepEqual([sqlstatesOf(answer), answer.at(-1)?.body.toString()], [['08006'], 'I'])
  await path.heal()
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a slow shard is only slow', async () => {
  await path.inject({ kind: 'delay', ms: 8 })
  const clients = await bed.openMany(5)
  const answers = await Promise.all(clients.map((client) => client.exchange(wire.extendedQuery('SELECT 7'))))
  for (const answer of answers) assert.equal(onlyValue(answer), '7')
  await path.heal()
})

test('a slow link to one shard connection does not delay clients of others', async () => {
  const [slow, quick] = await bed.openMany(2)
  await path.inject({ kind: 'throttle', bytesPerSecond: 200_000 })
  slow!.send(wire.query(`SELECT repeat('x', 300000)`))
  await within(2_000, 'the quick client', quick!.query('SELECT 1'))
  assert.equal(shapeOf(await slow!.until('Z')), 'TDCZ')
  await path.heal()
})

test('a shard that comes and goes: every query is answered or told why, none twice', async () => {
  await bed.sql('CREATE TABLE marks (id int); GRANT ALL ON marks TO PUBLIC')
  const clients = await bed.openMany(4)
  let flapping = true
  const flaps = (async () => {
    while (flapping) {
      await path.inject({ kind: 'reset' })
      await new Promise((resolve) => setTimeout(resolve, 30))
      await path.heal()
      await new Promise((resolve) => setTimeout(resolve, 120))
    }
  })()
  const acknowledged: number[] = []
  await Promise.all(
    clients.map(async (client, at) => {
      for (let n = 0; n < 60; n += 1) {
        const id = at * 1000 + n
        if (client.ending !== null) break
        const answer = await client.query(`INSERT INTO marks VALUES (${id})`).catch(() => [])
        if (shapeOf(answer) === 'CZ') acknowledged.push(id)
      }
    }),
  )
  flapping = false
  await flaps
  await path.heal()
  const rows = await bed.sql('SELECT id, count(*)::int AS times FROM marks GROUP BY id')
  const times = new Map(rows.map((row) => [row.id, row.times]))
  for (const id of acknowledged) assert.equal(times.get(id), 1, `${id} was acknowledged`)
  for (const [id, count] of times) assert.equal(count, 1, `${id} was done ${count} times`)
  assert.ok(acknowledged.length > 0)
})

async function untilReadyOrEnd(client: WireClient): Promise<{ messages: WireMessage[]; ended: boolean }> {
  const messages: WireMessage[] = []
  for (;;) {
    try {
      messages.push(await client.next())
    } catch (error) {
      if (error instanceof WireClosed) return { messages, ended: true }
      throw error
    }
    if (messages.at(-1)?.type === 'Z') return { messages, ended: false }
  }
}
