import assert from 'node:assert/strict'
import { test } from 'node:test'
import { notificationsOf, readNotification } from '../support/notification.ts'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { rowsOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

const SERVERS = 2
const bed = await Testbed.open({ settings: { pool: { size: SERVERS } } })

/** Types of messages, notifications included. */
const shape = (messages: readonly WireMessage[]): string =>
  messages
    .filter(({ type }) => !'NS'.includes(type))
    .map(({ type }) => type)
    .join('')

/** What has come by the time something else is answered. */
async function heardBy(client: WireClient): Promise<string[]> {
  return notificationsOf(await client.query('SELECT 1'))
}

const listening = async (client: WireClient): Promise<string> =>
  rowsOf(await client.query('SELECT c FROM pg_listening_channels() c ORDER BY c'))
    .map(([name]) => name)
    .join(' ')

test('many clients listen with few server connections, and each hears what it asked for, in order', async () => {
  const clients = await bed.openMany(12)
  for (const [at, client] of clients.entries()) {
    assert.equal(shape(await client.query(`LISTEN c${at % 3}`)), 'CZ')
    if (at % 2 === 0) await client.query('LISTEN everybody')
  }
  const notifier = await bed.open()
  for (let n = 0; n < 30; n += 1) {
    await notifier.query(`NOTIFY c${n % 3}, '${n}'`)
    if (n % 10 === 0) await notifier.query(`NOTIFY everybody, '${n}'`)
  }
  for (const [at, client] of clients.entries()) {
    const expected: string[] = []
    for (let n = 0; n < 30; n += 1) {
      if (n % 3 === at % 3) expected.push(`c${n % 3} ${n}`)
      if (n % 10 === 0 && at % 2 === 0) expected.push(`everybody ${n}`)
    }
    assert.deepEqual(await heardBy(client), expected, `client ${at}`)
  }
  assert.deepEqual(await heardBy(notifier), [], 'who did not ask')
  if (isDirect) return
  const pinned = (await bed.show('CLIENTS')).filter(
    (client) => client.pinned !== '' && client.database === bed.database,
  )
  assert.deepEqual(pinned, [])
})

test('what comes while the client is idle is delivered at once', async () => {
  const [listener, notifier] = await bed.openMany(2)
  await listener!.query('LISTEN news')
  await notifier!.query(`SELECT pg_notify('news', 'a')`)
  const message = await listener!.next()
  assert.equal(message.type, 'A')
  assert.deepEqual(notificationsOf([message]), ['news a'])
})

test('nothing is lost between LISTEN and its confirmation', async () => {
  const [listener, notifier] = await bed.openMany(2)
  for (let n = 0; n < 500; n += 1) {
    const channel = `fresh_${n % 7}`
    assert.equal(shape(await listener!.query(`LISTEN ${channel}`)), 'CZ')
    await notifier!.query(`NOTIFY ${channel}, '${n}'`)
    assert.deepEqual(notificationsOf([await listener!.next()]), [`${channel} ${n}`])
    assert.equal(shape(await listener!.query(n % 2 === 0 ? 'UNLISTEN *' : `UNLISTEN ${channel}`)), 'CZ')
  }
})

test('what was notified before LISTEN is not delivered, whoever else listens', async () => {
  const [early, late, notifier] = await bed.openMany(3)
  await early!.query('LISTEN busy')
  for (let n = 0; n < 100; n += 1) {
    await notifier!.query(`NOTIFY busy, 'before ${n}'`)
    assert.deepEqual(notificationsOf(await late!.query('LISTEN busy')), [])
    assert.deepEqual(notificationsOf(await late!.query('UNLISTEN busy')), [])
  }
  assert.equal((await heardBy(early!)).length, 100)
})

test('a notification of the own transaction comes before its ReadyForQuery, from the own process', async () => {
  const [client, other] = await bed.openMany(2)
  await client!.query('LISTEN mine')
  for (const sql of [`NOTIFY mine, 'x'`, `SELECT pg_notify('mine', 'x')`]) {
    const messages = await client!.query(sql)
    assert.match(shape(messages), /^(C|TDC)AZ$/)
    assert.equal(readNotification(messages.at(-2)!).pid, client!.cancelPid)
  }
  await client!.query('BEGIN')
  assert.equal(shape(await client!.query(`NOTIFY mine, 'y'; NOTIFY mine, 'y'; NOTIFY mine, 'z'`)), 'CCCZ')
  await other!.query(`NOTIFY mine, 'from another'`)
  const messages = await client!.query('COMMIT')
  assert.equal(shape(messages), 'CAAAZ')
  const from = messages.filter(({ type }) => type === 'A').map(readNotification)
  assert.deepEqual(
    from.map(({ payload, pid }) => `${payload} ${pid === client!.cancelPid}`),
    ['from another false', 'y true', 'z true'],
  )
  assert.deepEqual(await heardBy(other!), [])
})

test('own notifications are told from those of whoever had the server connection before', async () => {
  const [one, two] = await bed.openMany(2)
  await one!.query('LISTEN shared')
  await two!.query('LISTEN shared')
  for (let n = 0; n < 50; n += 1) {
    one!.send(wire.query(`NOTIFY shared, 'one'`))
    two!.send(wire.query(`NOTIFY shared, 'two'`))
    for (const [client, name] of [
      [one!, 'one'],
      [two!, 'two'],
    ] as const) {
      const own = (await client.until('Z')).filter(({ type }) => type === 'A').map(readNotification)
      for (const { payload, pid } of own) assert.equal(pid === client.cancelPid, payload === name)
      assert.equal(
        own.some(({ payload }) => payload === name),
        true,
      )
    }
  }
})

test('LISTEN takes effect at COMMIT', async () => {
  const [client, notifier] = await bed.openMany(2)
  await client!.query('BEGIN')
  await client!.query('LISTEN later')
  await notifier!.query(`NOTIFY later, 'too early'`)
  assert.deepEqual(notificationsOf(await client!.query('SELECT 1')), [])
  await notifier!.query(`NOTIFY later, 'too early again'`)
  assert.deepEqual(notificationsOf(await client!.query('COMMIT')), [])
  await notifier!.query(`NOTIFY later, 'now'`)
  assert.deepEqual(await heardBy(client!), ['later now'])
})

test('LISTEN that is rolled back has not happened, by savepoints too', async () => {
  const [client, notifier] = await bed.openMany(2)
  for (const sql of ['BEGIN', 'LISTEN never', 'ROLLBACK']) await client!.query(sql)
  for (const sql of ['BEGIN', 'LISTEN kept', 'SAVEPOINT s', 'LISTEN dropped', 'ROLLBACK TO s', 'COMMIT']) {
    await client!.query(sql)
  }
  await client!.query('BEGIN; LISTEN failed; SELECT 1/0')
  await client!.query('ROLLBACK')
  assert.deepEqual(sqlstatesOf(await client!.query('LISTEN also; SELECT 1/0')), ['22012'])
  for (const channel of ['never', 'dropped', 'failed', 'also', 'kept']) await notifier!.query(`NOTIFY ${channel}`)
  assert.deepEqual(await heardBy(client!), ['kept '])
  assert.equal(await listening(client!), 'kept')
})

test('UNLISTEN takes effect at COMMIT, and not at ROLLBACK', async () => {
  const [client, notifier] = await bed.openMany(2)
  for (const sql of ['LISTEN a', 'LISTEN b', 'LISTEN c']) await client!.query(sql)
  for (const sql of ['BEGIN', 'UNLISTEN a', 'SAVEPOINT s', 'UNLISTEN *', 'ROLLBACK TO s', 'COMMIT']) {
    await client!.query(sql)
  }
  for (const sql of ['BEGIN', 'UNLISTEN *', 'ROLLBACK']) await client!.query(sql)
  for (const channel of ['a', 'b', 'c']) await notifier!.query(`NOTIFY ${channel}`)
  assert.deepEqual(await heardBy(client!), ['b ', 'c '])
  for (const sql of ['BEGIN', 'UNLISTEN *', 'LISTEN c', 'UNLISTEN c', 'LISTEN d', 'COMMIT']) await client!.query(sql)
  for (const channel of ['a', 'b', 'c', 'd']) await notifier!.query(`NOTIFY ${channel}`)
  assert.deepEqual(await heardBy(client!), ['d '])
})

test('DISCARD ALL ends listening', async () => {
  const [client, notifier] = await bed.openMany(2)
  for (const sql of ['LISTEN a', 'LISTEN b', 'DISCARD ALL']) assert.equal(shape(await client!.query(sql)), 'CZ')
  await notifier!.query('NOTIFY a')
  assert.deepEqual(await heardBy(client!), [])
  assert.equal(await listening(client!), '')
})

test('pg_listening_channels shows what the session listens to, and nobody else’s', async () => {
  const [client, other] = await bed.openMany(2)
  await client!.query('LISTEN "Two Words"')
  await client!.query('LISTEN Folded')
  await other!.query('LISTEN strange')
  for (let n = 0; n < 5; n += 1) {
    assert.equal(await listening(client!), 'Two Words folded')
    assert.equal(await listening(other!), 'strange')
  }
  await client!.query('BEGIN')
  assert.equal(await listening(client!), 'Two Words folded')
  await client!.query('COMMIT')
  const stranger = await bed.open()
  assert.equal(await listening(stranger), '')
})

test('names are folded unless quoted, and cut at 63 bytes', async () => {
  const [client, notifier] = await bed.openMany(2)
  const long = 'é'.repeat(40)
  await client!.query('LISTEN CamelCase')
  await client!.query('LISTEN "CamelCase"')
  await client!.query('LISTEN "a""b"')
  await client!.query(`LISTEN "${long}"`)
  for (const channel of ['camelcase', '"CamelCase"', '"a""b"', `"${long}"`]) {
    await notifier!.query(`NOTIFY ${channel}, '${channel.length}'`)
  }
  assert.deepEqual(await heardBy(client!), ['camelcase 9', 'CamelCase 11', 'a"b 6', `${'é'.repeat(31)} 42`])
  await client!.query('LISTEN U&"d\\0061t"')
  await notifier!.query('NOTIFY dat')
  assert.deepEqual(await heardBy(client!), ['dat '])
})

test('the extended protocol listens too, prepared or not, in pipelines', async () => {
  const [client, notifier] = await bed.openMany(2)
  assert.equal(shape(await client!.exchange(wire.extendedQuery('LISTEN one'))), '12nCZ')
  await client!.exchange(Buffer.concat([wire.parse('p', 'LISTEN two'), wire.sync()]))
  await notifier!.query(`NOTIFY two, 'only parsed'`)
  assert.deepEqual(await heardBy(client!), [])
  const run = Buffer.concat([wire.bind('', 'p'), wire.execute(''), wire.sync()])
  assert.equal(shape(await client!.exchange(run)), '2CZ')
  await notifier!.query('NOTIFY two')
  await notifier!.query('NOTIFY one')
  assert.deepEqual(await heardBy(client!), ['two ', 'one '])
  await client!.query('UNLISTEN *')
  await client!.exchange(run)
  await notifier!.query('NOTIFY two')
  assert.deepEqual(await heardBy(client!), ['two '])
  const pipeline = [`LISTEN x`, `NOTIFY x, '1'`, 'SELECT 1', 'LISTEN y', `NOTIFY y, '2'`, 'UNLISTEN x', 'NOTIFY x']
  const messages = await client!.exchange(Buffer.concat(pipeline.map((sql) => wire.query(sql))), pipeline.length)
  assert.deepEqual(notificationsOf(messages), ['x 1', 'y 2'])
  assert.equal(shape(messages).replaceAll('A', ''), 'CZCZTDCZCZCZCZCZ')
  assert.deepEqual(await heardBy(client!), [])
})

test('what one string notifies of before it listens is not delivered', async () => {
  const client = await bed.open()
  assert.deepEqual(notificationsOf(await client.query(`NOTIFY a, 'before'; COMMIT; LISTEN a`)), [])
  assert.deepEqual(notificationsOf(await client.query(`NOTIFY a, 'after'`)), ['a after'])
})

test('LISTEN that is executed and not committed yet', async () => {
  const [client, notifier] = await bed.openMany(2)
  client!.send(wire.parse('', 'LISTEN a'), wire.bind('', ''), wire.execute(''), wire.flush())
  assert.equal(shape(await client!.until('C')), '12C')
  await notifier!.query(`NOTIFY a, 'before'`)
  assert.deepEqual(notificationsOf(await client!.exchange(wire.sync())), [])
  await notifier!.query(`NOTIFY a, 'after'`)
  assert.deepEqual(await heardBy(client!), ['a after'])
})

test('LISTEN that is committed in the middle of a pipeline', async () => {
  const [client, notifier] = await bed.openMany(2)
  const frames = ['LISTEN a', `NOTIFY a, 'own'`, 'BEGIN'].map((sql) => wire.query(sql))
  await client!.exchange(Buffer.concat(frames), 3)
  await notifier!.query(`NOTIFY a, 'meanwhile'`)
  assert.equal(shape(await client!.query('LISTEN b')), 'CZ')
  await notifier!.query(`NOTIFY b, 'too early'`)
  const heard = notificationsOf(await client!.query('ROLLBACK'))
  assert.deepEqual(isDirect ? ['a own', ...heard] : heard, ['a own', 'a meanwhile'])
})

test('LISTEN that is committed before its Sync', async () => {
  const [client, notifier] = await bed.openMany(2)
  for (const sql of ['LISTEN a', 'COMMIT']) client!.send(wire.parse('', sql), wire.bind('', ''), wire.execute(''))
  client!.send(wire.flush())
  assert.equal(shape([...(await client!.until('C')), ...(await client!.until('C'))]), '12C12C')
  await notifier!.query('NOTIFY a')
  assert.deepEqual(notificationsOf(await client!.exchange(wire.sync())), ['a '])
})

test('LISTEN in a chain of transactions', async () => {
  const [client, notifier] = await bed.openMany(2)
  for (const sql of ['BEGIN', 'LISTEN a', 'COMMIT AND CHAIN']) await client!.query(sql)
  await notifier!.query('NOTIFY a')
  await client!.query('SELECT 1')
  assert.deepEqual(notificationsOf(await client!.query('ROLLBACK')), ['a '])
})

test('several statements in one string', async () => {
  const [client, notifier] = await bed.openMany(2)
  const messages = await client!.query(`LISTEN a; NOTIFY a, 'own'; LISTEN b; UNLISTEN a; LISTEN c`)
  assert.deepEqual(notificationsOf(messages), [])
  for (const channel of ['a', 'b', 'c']) await notifier!.query(`NOTIFY ${channel}`)
  assert.deepEqual(await heardBy(client!), ['b ', 'c '])
})

test('notifications wait for the end of a transaction', async () => {
  const [client, notifier] = await bed.openMany(2)
  await client!.query('LISTEN a')
  await client!.query('BEGIN')
  for (let n = 0; n < 20; n += 1) await notifier!.query(`NOTIFY a, '${n}'`)
  assert.deepEqual(notificationsOf(await client!.query('SELECT 1')), [])
  assert.deepEqual(sqlstatesOf(await client!.query('SELECT 1/0')), ['22012'])
  assert.deepEqual(notificationsOf(await client!.query('SELECT 1')), [])
  const messages = await client!.query('ROLLBACK')
  assert.deepEqual(
    notificationsOf(messages),
    Array.from({ length: 20 }, (_, n) => `a ${n}`),
  )
  assert.match(shape(messages), /^CA+Z$/)
})

test('a session that listens and is pinned for another reason hears the same', async () => {
  const [client, notifier] = await bed.openMany(2)
  await client!.query('LISTEN a')
  await client!.query('CREATE TEMP TABLE mine (x int)')
  await client!.query('LISTEN b')
  for (let n = 0; n < 5; n += 1) {
    await notifier!.query(`NOTIFY a, '${n}'`)
    await notifier!.query(`NOTIFY b, '${n}'`)
    assert.deepEqual(notificationsOf([await client!.next(), await client!.next()]), [`a ${n}`, `b ${n}`])
  }
  assert.deepEqual(notificationsOf(await client!.query(`NOTIFY b, 'own'`)), ['b own'])
  await client!.query('UNLISTEN a')
  await notifier!.query('NOTIFY a')
  assert.deepEqual(await heardBy(client!), [])
})

test('LISTEN in a block of code', async () => {
  const [client, notifier] = await bed.openMany(2)
  await client!.query('LISTEN a')
  await client!.query(`DO $$ BEGIN EXECUTE 'LISTEN hidden'; END $$`)
  for (const channel of ['a', 'hidden', 'a']) await notifier!.query(`NOTIFY ${channel}`)
  assert.deepEqual((await heardBy(client!)).sort(), ['a ', 'a ', 'hidden '])
})

test('whoever gets the server connection next listens to nothing', async () => {
  const clients = await bed.openMany(SERVERS * 2)
  for (const client of clients.slice(0, SERVERS)) {
    await client.query('LISTEN private')
    await client.query('SELECT 1')
  }
  await Promise.all(clients.slice(0, SERVERS).map((client) => client.goodbye()))
  for (const client of clients.slice(SERVERS)) {
    await client.query('NOTIFY private')
    assert.deepEqual(await heardBy(client), [])
    assert.equal(await listening(client), '')
  }
})

test('a payload of 7999 bytes', async () => {
  const [client, notifier] = await bed.openMany(2)
  await client!.query('LISTEN a')
  const payload = 'x'.repeat(7999)
  await notifier!.query(`NOTIFY a, '${payload}'`)
  assert.deepEqual(notificationsOf([await client!.next()]), [`a ${payload}`])
})
