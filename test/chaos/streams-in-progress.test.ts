import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

/** TLS sessions are the one thing that does not outlive a plane. */
const SETTINGS = { server_tls: { mode: 'disable' } }
const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

test('COPY out: every byte comes once, through several crashes', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  const rows = 400_000
  const expected = createHash('md5')
  for (let n = 1; n <= rows; n += 1) expected.update(`${n}\t${n * 7}\tsome text that is copied ${n}\n`)
  client.send(
    wire.query(`COPY (SELECT n, n * 7, 'some text that is copied ' || n FROM generate_series(1, ${rows}) n) TO STDOUT`),
  )
  assert.equal((await client.next()).type, 'H')
  const seen = createHash('md5')
  let count = 0
  for (let message = await client.next(); message.type === 'd'; message = await client.next()) {
    seen.update(message.body)
    count += 1
    if (count % 90_000 === 0) await killPlane(router)
  }
  assert.deepEqual([count, seen.digest('hex')], [rows, expected.digest('hex')])
  assert.deepEqual(
    (await client.until('Z')).map(({ type }) => type),
    ['C', 'Z'],
  )
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('COPY in: every row arrives once, through several crashes', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  await client.query('CREATE TABLE copied (n int, t text)')
  client.send(wire.query('COPY copied FROM STDIN'))
  assert.equal((await client.next()).type, 'G')
  let sent = 0
  for (let part = 0; part < 60; part += 1) {
    const lines = Array.from({ length: 2_000 }, () => `${++sent}\tsome text ${sent}\n`)
    await client.sent(wire.copyData(lines.join('')))
    if (part % 15 === 7) await killPlane(router)
  }
  client.send(wire.copyDone())
  assert.deepEqual(sqlstatesOf(await client.until('Z')), [])
  const sums = `SELECT count(*) || ' ' || sum(n) || ' ' || count(DISTINCT n) || ' ' || count(*) FILTER (WHERE t = 'some text ' || n) FROM copied`
  assert.equal(onlyValue(await client.query(sums)), `${sent} ${(sent * (sent + 1)) / 2} ${sent} ${sent}`)
  await client.query('DROP TABLE copied')
})

test('a pipeline: all answers come, in their order', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  const parts: Buffer[] = [
    wire.parse('p', 'SELECT $1::int + pg_sleep(0.002)::text::bpchar::text::int * 0'),
    wire.sync(),
  ]
  const many = 300
  parts[0] = wire.parse('p', 'SELECT $1::int FROM pg_sleep(0.003)')
  for (let n = 0; n < many; n += 1) parts.push(wire.bind('', 'p', [String(n)]), wire.execute(''), wire.sync())
  client.send(Buffer.concat(parts))
  await client.until('Z')
  for (let n = 0; n < many; n += 1) {
    assert.equal(onlyValue(await client.until('Z')), String(n))
    if (n % 80 === 40) await killPlane(router)
  }
})

test('an error in a pipeline skips what it skips, with a crash in between', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  const failing = [
    wire.extendedQuery('SELECT pg_sleep(0.5)').subarray(0, -5),
    wire.parse('late', 'SELECT 1/0'),
    wire.bind('', 'late'),
    wire.execute(''),
    wire.parse('never', 'SELECT 2'),
    wire.sync(),
  ]
  client.send(Buffer.concat([...failing, wire.extendedQuery('SELECT 5')]))
  await waitUntil('the query to run', async () =>
    (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
  )
  await killPlane(router)
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['22012'])
  assert.equal(onlyValue(await client.until('Z')), '5')
  const bound = await client.exchange(Buffer.concat([wire.bind('', 'never'), wire.execute(''), wire.sync()]))
  assert.deepEqual(sqlstatesOf(bound), ['26000'])
})

test('notifications: all of them, once and in order', async () => {
  const router = await bed.startRouter(SETTINGS)
  const clients = [await open(router), await open(router)]
  for (const client of clients) await client.query('LISTEN news')
  const total = 300
  for (let n = 1; n <= total; n += 1) {
    await bed.sql(`SELECT pg_notify('news', '${n}')`)
    if (n % 80 === 20) await killPlane(router)
  }
  for (const client of clients) {
    for (let n = 1; n <= total; n += 1) {
      const message = await client.next()
      assert.equal(message.type, 'A', String(message))
      assert.equal(message.strings.at(-1) ?? message.body.toString('latin1'), String(n))
    }
    assert.deepEqual(sqlstatesOf(await client.query('UNLISTEN news')), [])
  }
})

test('a client that does not read gets what waited for it', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  client.send(wire.query(`SELECT repeat('x', 1000) || n FROM generate_series(1, 30000) n`))
  assert.equal((await client.next()).type, 'T')
  for (let round = 0; round < 2; round += 1) await killPlane(router)
  let n = 0
  for (let message = await client.next(); message.type === 'D'; message = await client.next()) {
    n += 1
    assert.ok(message.body.toString('latin1').endsWith(`x${n}`))
    if (n === 10_000 || n === 20_000) await killPlane(router)
  }
  assert.equal(n, 30_000)
  await client.until('Z')
})

test('a pinned session keeps its server connection and what is in it', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  await client.query(
    `CREATE TEMP TABLE mine AS SELECT 7 AS n; SELECT pg_advisory_lock(4711); PREPARE p AS SELECT n FROM mine`,
  )
  const pid = onlyValue(await client.query('SELECT pg_backend_pid()'))
  for (let round = 0; round < 2; round += 1) {
    await killPlane(router)
    assert.equal(onlyValue(await client.query('EXECUTE p')), '7')
    assert.equal(onlyValue(await client.query('SELECT pg_backend_pid()')), pid)
  }
  assert.equal(onlyValue(await client.query('SELECT pg_advisory_unlock(4711)')), 't')
})

test('settings that are changed in a transaction follow its end', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  await client.query(`BEGIN; SET work_mem = '9MB'; SET app.kept = 'yes'`)
  await killPlane(router)
  await client.query('COMMIT')
  await client.query('BEGIN')
  await client.query(`SET work_mem = '10MB'`)
  await killPlane(router)
  await client.query('ROLLBACK')
  const other = await open(router)
  for (let round = 0; round < 4; round += 1) {
    assert.equal(onlyValue(await client.query('SHOW work_mem')), '9MB')
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.kept')`)), 'yes')
    assert.notEqual(onlyValue(await other.query('SHOW work_mem')), '9MB')
  }
})

test('the unnamed statement is bound after a crash', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  await client.exchange(Buffer.concat([wire.parse('', 'SELECT $1::int * 2'), wire.sync()]))
  await killPlane(router)
  const answer = await client.exchange(Buffer.concat([wire.bind('', '', ['21']), wire.execute(''), wire.sync()]))
  assert.equal(onlyValue(answer), '42')
})

test('who waits for a server connection waits on, and a cancel finds its query', async () => {
  const router = await bed.startRouter({ ...SETTINGS, pool: { size: 1 } })
  const [first, second, third] = [await open(router), await open(router), await open(router)]
  await first.query('BEGIN')
  const answers = [second.query('SELECT 2'), third.query('SELECT 3')]
  const slow = first.query('SELECT pg_sleep(60)')
  await waitUntil('the query to run', async () =>
    (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
  )
  await killPlane(router)
  await sendCancel(router, first.cancelPid, first.cancelKey)
  assert.deepEqual(sqlstatesOf(await slow), ['57014'])
  await first.query('ROLLBACK')
  assert.deepEqual((await Promise.all(answers)).map(onlyValue), ['2', '3'])
})

test('a query whose client is gone after the crash is cancelled', async () => {
  const router = await bed.startRouter(SETTINGS)
  const client = await open(router)
  client.send(wire.query('SELECT pg_sleep(60)'))
  const running = async () => (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active')
  await waitUntil('the query to run', running)
  await killPlane(router)
  client.close()
  await waitUntil('the query to end', async () => !(await running()))
})
