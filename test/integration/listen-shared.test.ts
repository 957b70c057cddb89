import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notificationsOf } from '../support/notification.ts'
import { CONSOLE, usersOf } from '../support/router-settings.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { shapeOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({
  routerOnly: true,
  settings: ({ database }) => ({
    pool: { size: 2 },
    limits: { waiting_notifications: '64KB' },
    databases: { [database]: {}, own: { name: database, pool_mode: 'session' } },
  }),
})

async function listeners(): Promise<Record<string, unknown>[]> {
  return (await bed.show('LISTENERS')).filter((row) => row.server_database === bed.database)
}

async function pinned(): Promise<unknown[]> {
  const clients = await bed.show('CLIENTS')
  return clients.map((client) => client.pinned).filter((reasons) => reasons !== '' && reasons !== 'console')
}

async function slowListeners(): Promise<number> {
  return Number((await bed.show('PLANES'))[0]?.slow_listeners)
}

/** Ends the listening connection as an operator would. */
async function killListener(): Promise<void> {
  await bed.cluster.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND application_name = $2`,
    [bed.database, 'switchyard listener'],
  )
}

async function heardBy(client: WireClient): Promise<string[]> {
  return notificationsOf(await client.query('SELECT 1'))
}

test('one connection listens for all, and goes when nobody needs it', async () => {
  const clients = await bed.openMany(10)
  for (const [at, client] of clients.entries()) await client.query(`LISTEN c${at % 4}`)
  const [row, ...others] = await listeners()
  assert.deepEqual(others, [])
  assert.equal(row?.channels, 4)
  assert.equal(row?.clients, 10)
  assert.equal(row?.user, bed.role.user)
  await clients[9]!.query('NOTIFY c0')
  await clients[9]!.query('NOTIFY unheard')
  const [after] = await listeners()
  assert.deepEqual([after?.notifications, after?.deliveries], ['1', '3'])
  const mine = (await bed.show('CLIENTS')).filter((client) => client.channels === 1)
  assert.equal(mine.length, 10)
  assert.equal((await bed.pool()).sv_listening, 1)
  assert.deepEqual(await pinned(), [])
  for (const client of clients) await client.query('UNLISTEN *')
  await waitUntil('the listening connection to be closed', async () => (await listeners()).length === 0)
  await clients[0]!.query('LISTEN again')
  await clients[1]!.query('NOTIFY again')
  assert.deepEqual(notificationsOf([await clients[0]!.next()]), ['again '])
})

test('clients listen on when the listening connection is lost, and are told', async () => {
  const [client, busy, notifier] = (await bed.openMany(3)) as [WireClient, WireClient, WireClient]
  const lostBefore = Number((await bed.show('PLANES'))[0]?.listeners_lost)
  await client.query('LISTEN news')
  await busy.query('LISTEN news')
  for (let round = 0; round < 5; round += 1) {
    await busy.query('BEGIN')
    await killListener()
    const warning = await client.next()
    assert.equal(warning.type, 'N')
    assert.equal(warning.sqlstate, '01000')
    assert.equal(warning.fields.M, 'notifications may have been lost')
    await notifier.query(`NOTIFY news, '${round}'`)
    assert.deepEqual(notificationsOf([await client.next()]), [`news ${round}`])
    assert.equal(shapeOf(await busy.query('SELECT 1')), 'TDCZ')
    const told = await busy.query('COMMIT')
    assert.equal(told.map(({ type }) => type).join(''), 'CNAZ')
  }
  assert.equal(Number((await bed.show('PLANES'))[0]?.listeners_lost), lostBefore + 5)
})

test('or are disconnected, where that is asked for', async () => {
  const router = await bed.startRouter({ pool: { lost_notifications: 'close' } })
  const client = await bed.onClose(await WireClient.open(router, bed.login), (open) => open.close())
  await client.query('LISTEN news')
  await killListener()
  const { messages } = await client.untilClosed()
  assert.deepEqual(sqlstatesOf(messages), ['08006'])
})

test('LISTEN waits for a listening connection that was lost at that moment', async () => {
  const [first, second, notifier] = (await bed.openMany(3)) as [WireClient, WireClient, WireClient]
  await first.query('LISTEN a')
  for (let round = 0; round < 10; round += 1) {
    const killing = killListener()
    assert.equal(shapeOf(await second.query('LISTEN a')), 'CZ')
    await killing
    await waitUntil('it to listen again', async () => {
      await notifier.query(`NOTIFY a, 'probe'`)
      return (await heardBy(second)).length > 0
    })
    await second.query('UNLISTEN *')
  }
})

test('a client that does not read is disconnected when too much waits for it', async () => {
  const [slow, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  const before = await slowListeners()
  await slow.query('LISTEN flood')
  slow.stopReading()
  const payload = 'x'.repeat(7000)
  await waitUntil(
    'it to be disconnected',
    async () => {
      await notifier.query(`SELECT pg_notify('flood', n || '${payload}') FROM generate_series(1, 100) n`)
      return (await slowListeners()) > before
    },
    { timeoutMs: 30_000 },
  )
  slow.readAgain()
  const { messages } = await slow.untilClosed()
  assert.deepEqual(sqlstatesOf(messages), ['53400'])
  assert.equal(shapeOf(await notifier.query('SELECT 1')), 'TDCZ')
})

test('notifications wait for a client in a transaction within the same bound', async () => {
  const [client, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  await client.query('LISTEN flood')
  await client.query('BEGIN')
  const payload = 'x'.repeat(7000)
  await notifier.query(`SELECT pg_notify('flood', n || '${payload}') FROM generate_series(1, 8) n`)
  assert.equal(notificationsOf(await client.query('COMMIT')).length, 8)
  await client.query('BEGIN')
  await notifier.query(`SELECT pg_notify('flood', n || '${payload}') FROM generate_series(1, 12) n`)
  const { messages } = await client.untilClosed()
  assert.deepEqual(sqlstatesOf(messages), ['53400'])
})

test('a client that reads slowly gets all of them in order', async () => {
  const [slow, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  await slow.query('LISTEN flow')
  const payload = 'x'.repeat(4000)
  let sent = 0
  for (let round = 0; round < 20; round += 1) {
    slow.stopReading()
    await notifier.query(
      `SELECT pg_notify('flow', n || ' ${payload}') FROM generate_series(${sent + 1}, ${sent + 10}) n`,
    )
    slow.readAgain()
    for (let n = 0; n < 10; n += 1) {
      sent += 1
      assert.deepEqual(notificationsOf([await slow.next()]), [`flow ${sent} ${payload}`])
    }
  }
})

test('when nobody may listen for them, sessions listen themselves, pinned', async () => {
  const role = await bed.cluster.createRole({ attributes: 'CONNECTION LIMIT 2' })
  const router = await bed.startRouter({ users: usersOf([role, CONSOLE]) })
  const open = async (): Promise<WireClient> =>
    bed.onClose(await WireClient.open(router, { ...role, database: bed.database }), (client) => client.close())
  const [one, two] = [await open(), await open()]
  // Both connections that the role may have are in use.
  await one.query('BEGIN; SELECT 1')
  await two.query('BEGIN; SELECT 1')
  assert.equal(shapeOf(await one.query('LISTEN a')), 'CZ')
  await one.query('COMMIT')
  await two.query('NOTIFY a')
  await two.query('COMMIT')
  assert.deepEqual(notificationsOf([await one.next()]), ['a '])
  await two.query(`NOTIFY a, 'b'`)
  assert.deepEqual(await heardBy(one), ['a b'])
})

test('session mode listens on its own connection', async () => {
  const client = await bed.open({ database: 'own' })
  const notifier = await bed.open()
  await client.query('LISTEN a')
  assert.deepEqual(await listeners(), [])
  await notifier.query('NOTIFY a')
  assert.deepEqual(notificationsOf([await client.next()]), ['a '])
})

test('clients with another encoding have a listening connection in that encoding', async () => {
  const [latin, other] = (await bed.openMany(2, { parameters: { client_encoding: 'LATIN1' } })) as [
    WireClient,
    WireClient,
  ]
  const [unicode, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  for (const client of [latin, other, unicode]) await client.query('LISTEN a')
  assert.deepEqual(await pinned(), [])
  assert.equal((await listeners()).length, 2)
  await notifier.query(`NOTIFY a, 'é'`)
  for (const client of [latin, other]) assert.equal((await client.next()).body.toString('latin1', 4), 'a\0é\0')
  assert.deepEqual(notificationsOf([await unicode.next()]), ['a é'])
  // Its name in the database is not known for certain, so its server connection listens to it.
  await latin.exchange(wire.frame('Q', Buffer.from('LISTEN "é"\0', 'latin1')))
  assert.deepEqual(await pinned(), ['listen'])
  await notifier.query('NOTIFY "é"')
  assert.equal((await latin.next()).body.toString('latin1', 4), 'é\0\0')
  await notifier.query('NOTIFY a')
  assert.equal((await latin.next()).body.toString('latin1', 4), 'a\0\0')
})

test('PAUSE lets the listening connection go, RESUME brings it back', async () => {
  const [client, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  await client.query('LISTEN a')
  await bed.console.query('PAUSE')
  await waitUntil('no connection to the database', async () => {
    return (await bed.cluster.backends(bed.database)).length === 0
  })
  notifier.send(wire.query('NOTIFY a'))
  await bed.console.query('RESUME')
  await notifier.until('Z')
  assert.equal((await client.next()).type, 'N')
  await notifier.query(`NOTIFY a, 'x'`)
  assert.equal(notificationsOf([await client.next()]).length, 1)
})

test('a server connection that dies takes nothing that is listened to with it', async () => {
  const [client, notifier] = (await bed.openMany(2)) as [WireClient, WireClient]
  await client.query('LISTEN a')
  await client.query('BEGIN')
  await client.query('LISTEN b')
  await bed.cluster.sql(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND state = 'idle in transaction'`,
    [bed.database],
  )
  assert.equal((await client.next()).type, 'N')
  await notifier.query('NOTIFY a')
  await notifier.query('NOTIFY b')
  assert.deepEqual(notificationsOf(await client.query('SELECT 1')), [])
  assert.deepEqual(notificationsOf(await client.query('ROLLBACK')), ['a '])
  await notifier.query(`NOTIFY a, '2'`)
  assert.deepEqual(await heardBy(client), ['a 2'])
})

test('listeners that leave in the middle of everything leave nothing behind', async () => {
  const clients = await bed.openMany(12)
  for (const [at, client] of clients.entries()) {
    if (at % 3 === 0) await client.query(`LISTEN c${at}`)
    client.send(wire.query('BEGIN'), wire.query(`LISTEN d${at}`))
    if (at % 2 === 0) client.send(wire.query('COMMIT'), wire.query('UNLISTEN *'))
    client.close()
  }
  await waitUntil('them to be gone', async () => (await listeners()).length === 0)
})
