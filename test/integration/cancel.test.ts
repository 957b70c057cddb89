import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, type WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ settings: { pool: { size: 2 } } })
const ofRouter = { skip: isDirect && 'of the pool' }

const cancel = (client: WireClient): Promise<void> => sendCancel(bed.address, client.cancelPid, client.cancelKey)

/** Starts a query that runs until it is cancelled, and waits until it runs. */
async function startSleeping(client: WireClient, mark: string): Promise<void> {
  client.send(wire.query(`SELECT pg_sleep(60) /* ${mark} */`))
  await waitUntil(`${mark} to run`, async () => {
    const running = await bed.sql(
      `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND state = 'active' AND query LIKE $2 AND pid <> pg_backend_pid()`,
      [bed.database, `%${mark}%`],
    )
    return running.length === 1
  })
}

for (const [name, protocol] of [
  ['3.0', wire.PROTOCOL_3_0],
  ['3.2', wire.PROTOCOL_3_2],
] as const) {
  test(`protocol ${name}: a cancel request ends the query of the session it belongs to, and only that`, async () => {
    const [victim, other] = [await bed.open({ protocol }), await bed.open({ protocol })]
    await startSleeping(victim, `victim ${name}`)
    await startSleeping(other, `other ${name}`)
    await cancel(victim)
    assert.deepEqual(sqlstatesOf(await victim.until('Z')), ['57014'])
    assert.equal(onlyValue(await victim.query('SELECT 1')), '1')
    assert.ok(await other.staysSilent(300), 'the other query was hit')
    await cancel(other)
    assert.deepEqual(sqlstatesOf(await other.until('Z')), ['57014'])
  })
}

test('a cancel request over a session that is idle does nothing, also not later', async () => {
  const client = await bed.open()
  for (let round = 0; round < 20; round += 1) {
    await cancel(client)
    assert.deepEqual(sqlstatesOf(await client.query('SELECT 1 FROM pg_sleep(0.005)')), [])
  }
})

test('once its connection is closed, a cancel request hits nothing that is asked from then on', async () => {
  const client = await bed.open()
  await client.query('BEGIN')
  for (let round = 0; round < 100; round += 1) {
    await cancel(client)
    assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), [], `round ${round}`)
  }
})

test('wrong keys and unknown processes are ignored without an answer', async () => {
  const client = await bed.open({ protocol: wire.PROTOCOL_3_2 })
  await startSleeping(client, 'stubborn')
  const { cancelPid, cancelKey } = client
  const almost = Buffer.from(cancelKey)
  almost[almost.length - 1]! ^= 1
  for (const [pid, key] of [
    [cancelPid, almost],
    [cancelPid, cancelKey.subarray(0, 4)],
    [cancelPid, Buffer.concat([cancelKey, Buffer.from([0])])],
    [cancelPid, Buffer.alloc(cancelKey.length)],
    [cancelPid, randomBytes(256)],
    [cancelPid + 1, cancelKey],
    [0, cancelKey],
    [-1, cancelKey],
  ] as const) {
    await sendCancel(bed.address, pid, Buffer.from(key))
  }
  assert.ok(await client.staysSilent(300), 'the query was cancelled with a wrong key')
  await cancel(client)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
})

test('a cancel request with a key of an impossible length closes its own connection and nothing else', async () => {
  const client = await bed.open()
  for (const bytes of [0, 3, 300, 5_000]) {
    const request = await bed.dial()
    request.send(wire.cancelRequest(client.cancelPid, Buffer.alloc(bytes)))
    await request.untilClosed()
  }
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a cancel request of a session that is over does nothing', async () => {
  const gone = await bed.open()
  await gone.query('SELECT 1')
  await gone.goodbye()
  const client = await bed.open()
  await startSleeping(client, 'successor')
  await cancel(gone)
  assert.ok(await client.staysSilent(300))
  await cancel(client)
  await client.until('Z')
})

test('cancel keys of different sessions differ in every part that could be guessed', async () => {
  const clients = await bed.openMany(20)
  assert.equal(new Set(clients.map((client) => client.cancelKey.toString('hex'))).size, 20)
  assert.equal(new Set(clients.map((client) => client.cancelPid)).size, 20)
})

test(
  "a client's process id is none of Linux: in a longer statement pg_cancel_backend hits nobody",
  ofRouter,
  async () => {
    for (const client of await bed.openMany(5)) {
      assert.ok(client.cancelPid > 2 ** 22, String(client.cancelPid))
      assert.equal(onlyValue(await client.query(`SELECT pg_cancel_backend(${client.cancelPid}) AS hit`)), 'f')
    }
  },
)

for (const protocol of ['simple', 'extended'] as const) {
  const ask = async (client: WireClient, sql: string): Promise<string | null> => {
    if (protocol === 'simple') return onlyValue(await client.query(sql))
    return onlyValue(
      await client.exchange(Buffer.concat([wire.parse('', sql), wire.bind('', ''), wire.execute(''), wire.sync()])),
    )
  }

  test(`pg_cancel_backend with the process id of another client's login, ${protocol}`, async () => {
    const [sleeper, other] = await bed.openMany(2)
    await startSleeping(sleeper!, `signalled ${protocol}`)
    assert.equal(await ask(other!, `select pg_cancel_backend(${sleeper!.cancelPid})`), 't')
    assert.deepEqual(sqlstatesOf(await sleeper!.until('Z')), ['57014'])
    assert.equal(onlyValue(await sleeper!.query('SELECT 1')), '1')
  })

  test(`pg_terminate_backend with the process id of another client's login, ${protocol}`, async () => {
    const [idle, busy, other] = await bed.openMany(3)
    await busy!.query('BEGIN')
    for (const client of [idle!, busy!]) {
      assert.equal(await ask(other!, `SELECT pg_catalog.pg_terminate_backend(${client.cancelPid});`), 't')
      assert.deepEqual(sqlstatesOf((await client.untilClosed()).messages), ['57P01'])
    }
    assert.equal(onlyValue(await other!.query('SELECT 1')), '1')
  })
}

test(
  'a query that waits for a server connection is cancelled without one, and its client goes on',
  ofRouter,
  async () => {
    const holders = await bed.openMany(2)
    for (const [at, holder] of holders.entries()) await startSleeping(holder, `holder ${at}`)
    const waiting = await bed.open()
    waiting.send(wire.query('SELECT 1'))
    await waitUntil('the client to wait', async () => (await bed.pool()).cl_waiting === 1)
    await cancel(waiting)
    assert.deepEqual(sqlstatesOf(await waiting.until('Z')), ['57014'])
    for (const holder of holders) {
      await cancel(holder)
      assert.deepEqual(sqlstatesOf(await holder.until('Z')), ['57014'])
    }
    assert.equal(onlyValue(await waiting.query('SELECT 1')), '1')
  },
)

test('a cancel request that races with the end of the query never hits the next client', ofRouter, async () => {
  // One server connection passes from the client that is cancelled to the next at once, over and over.
  const [victim, ...innocents] = await bed.openMany(4)
  let cancelled = 0
  for (let round = 0; round < 100; round += 1) {
    // A cancel request takes longer than the shortest of them: a TLS handshake of its own, and the machine is busy.
    const lastsMs = 2 + 10 * (round % 5)
    victim!.send(wire.query(`SELECT pg_sleep(${lastsMs / 1000})`))
    const racing = new Promise((resolve) => setTimeout(resolve, Math.random() * 2 * lastsMs)).then(() =>
      cancel(victim!),
    )
    const others = innocents.map(async (innocent) => {
      assert.deepEqual(sqlstatesOf(await innocent.query('SELECT pg_sleep(0.001)')), [], `round ${round}`)
    })
    const answer = await victim!.until('Z')
    cancelled += sqlstatesOf(answer).length
    await Promise.all([racing, ...others])
  }
  assert.ok(cancelled > 0, 'no cancel request ever arrived in time: the race was not tried')
})

test('many cancel requests at once end the query once', async () => {
  const client = await bed.open()
  await startSleeping(client, 'popular')
  await Promise.all(Array.from({ length: 20 }, () => cancel(client)))
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
  for (let round = 0; round < 10; round += 1) {
    assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_sleep(0.002)')), [], `round ${round}`)
  }
})

test('a client that vanishes does not leave its query running', ofRouter, async () => {
  const client = await bed.open()
  await startSleeping(client, 'orphan')
  client.reset()
  await waitUntil('the query to be cancelled', async () => {
    const running = await bed.sql(
      `SELECT 1 FROM pg_stat_activity WHERE query LIKE '%orphan%' AND pid <> pg_backend_pid() AND state = 'active'`,
    )
    return running.length === 0
  })
})
