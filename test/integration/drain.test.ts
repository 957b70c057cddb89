import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CertificateAuthority, writeCredentials } from '../support/certificates.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const files = temporaryDirectory()
const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

/** The FATAL error that a client which says nothing is sent. */
async function farewell(client: WireClient): Promise<string> {
  const { messages, how } = await client.untilClosed()
  assert.equal(how, 'fin', 'reset instead of a farewell')
  assert.equal(messages.at(-1)?.fields.S, 'FATAL', messages.join(' '))
  return messages.at(-1)!.sqlstate
}

test('SIGTERM without clients ends everything with exit code 0', async () => {
  const router = await bed.startRouter()
  const { control, planes } = router.pids
  router.signal('SIGTERM')
  const exit = await within(5_000, 'the end', router.exited)
  assert.deepEqual(exit, { code: 0, signal: null })
  for (const pid of [control, ...planes]) assert.throws(() => process.kill(pid, 0), `process ${pid} is still there`)
})

test('SIGTERM: idle clients are told 57P01', async () => {
  const router = await bed.startRouter()
  const clients = [await open(router), await open(router)]
  await clients[0]!.query('SELECT 1')
  router.signal('SIGTERM')
  for (const client of clients) assert.equal(await farewell(client), '57P01')
  assert.equal((await router.exited).code, 0)
})

test('SIGTERM: a running transaction is finished, new clients are refused with 57P03, then it ends', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  await client.query('CREATE TABLE drained (x int)')
  await client.query('BEGIN; INSERT INTO drained VALUES (1)')
  router.signal('SIGTERM')
  await waitUntil('new clients to be refused', async () => {
    const late = await WireClient.connect(router)
    try {
      await late.login(bed.login)
      return false
    } catch (error) {
      return (error as { sqlstate?: string }).sqlstate === '57P03'
    } finally {
      late.close()
    }
  })
  assert.deepEqual(sqlstatesOf(await client.query('INSERT INTO drained VALUES (2)')), [])
  assert.deepEqual(sqlstatesOf(await client.query('COMMIT')), [])
  assert.equal(await farewell(client), '57P01')
  assert.equal((await within(5_000, 'the end', router.exited)).code, 0)
  const [row] = await bed.sql('SELECT count(*)::int AS rows FROM drained')
  assert.equal(row?.rows, 2)
})

test('SIGTERM: a long query delivers its answer', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  client.send(wire.query(`SELECT 'done' FROM pg_sleep(1)`))
  await waitUntil('the query to run', async () =>
    (await bed.cluster.backends(bed.database)).some((each) => each.state === 'active'),
  )
  router.signal('SIGTERM')
  assert.equal(onlyValue(await client.until('Z')), 'done')
  assert.equal(await farewell(client), '57P01')
  assert.equal((await router.exited).code, 0)
})

test('SIGTERM: who is still in a transaction at the deadline is cut off, and the end comes in time', async () => {
  const router = await bed.startRouter({ timeouts: { drain: '1s' } })
  const client = await open(router)
  await client.query('BEGIN')
  const started = performance.now()
  router.signal('SIGTERM')
  const exit = await within(6_000, 'the end', router.exited)
  assert.ok(performance.now() - started >= 900, 'cut off too early')
  assert.equal(exit.code, 0)
  await client.untilClosed()
  await waitUntil('no backend to be left', async () => (await bed.cluster.backends(bed.database)).length === 0)
})

test('SIGINT is the same as SIGTERM', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  router.signal('SIGINT')
  assert.equal(await farewell(client), '57P01')
  assert.equal((await router.exited).code, 0)
})

test('SHUTDOWN of the console is the same', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const console = await openConsole(router)
  await console.query('SHUTDOWN').catch(() => {})
  assert.equal(await farewell(client), '57P01')
  assert.equal((await within(8_000, 'the end', router.exited)).code, 0)
  await console.end().catch(() => {})
})

test('SHUTDOWN WAIT_FOR_CLIENTS: new clients are refused, the others go on until they leave, the console too', async () => {
  const router = await bed.startRouter({ timeouts: { drain: '1s' } })
  const [busy, idle] = [await open(router), await open(router)]
  const console = await openConsole(router)
  await console.query('SHUTDOWN WAIT_FOR_CLIENTS')
  await waitUntil('new clients to be refused', async () => {
    const late = await WireClient.connect(router)
    try {
      return await late.login(bed.login).then(
        () => false,
        (error: { sqlstate?: string }) => error.sqlstate === '57P03',
      )
    } finally {
      late.close()
    }
  })
  // Longer than the drain deadline, transaction after transaction.
  for (let n = 0; n < 8; n += 1) {
    assert.deepEqual(sqlstatesOf(await busy.query('BEGIN; SELECT pg_sleep(0.2); COMMIT')), [])
    assert.equal(onlyValue(await busy.query('SELECT 1')), '1')
  }
  await idle.goodbye()
  assert.equal(onlyValue(await busy.query('SELECT 2')), '2')
  const second = await openConsole(router)
  const { rows } = await second.query('SHOW CLIENTS')
  assert.deepEqual(rows.filter((row) => row.database === bed.database).length, 1)
  await busy.goodbye()
  assert.equal((await within(8_000, 'the end', router.exited)).code, 0)
  for (const each of [console, second]) await each.end().catch(() => {})
})

test('SHUTDOWN WAIT_FOR_CLIENTS can be hurried: SIGTERM tells idle clients', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const console = await openConsole(router)
  await console.query('SHUTDOWN WAIT_FOR_CLIENTS')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  router.signal('SIGTERM')
  assert.equal(await farewell(client), '57P01')
  assert.equal((await within(5_000, 'the end', router.exited)).code, 0)
  await console.end().catch(() => {})
})

test('SHUTDOWN WAIT_FOR_SERVERS: idle clients are told, a transaction may take longer than the drain deadline', async () => {
  const router = await bed.startRouter({ timeouts: { drain: '500ms' } })
  const [busy, idle] = [await open(router), await open(router)]
  await busy.query('BEGIN')
  const console = await openConsole(router)
  await console.query('SHUTDOWN WAIT_FOR_SERVERS').catch(() => {})
  assert.equal(await farewell(idle), '57P01')
  assert.deepEqual(sqlstatesOf(await busy.query('SELECT pg_sleep(1.5)')), [])
  assert.deepEqual(sqlstatesOf(await busy.query('COMMIT')), [])
  assert.equal(await farewell(busy), '57P01')
  assert.equal((await within(5_000, 'the end', router.exited)).code, 0)
  await console.end().catch(() => {})
})

test('server connections say goodbye to their shards: no backend is left, no error in between', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 5 }, () => open(router)))
  await Promise.all(clients.map((client) => client.query('SELECT pg_sleep(0.1)')))
  router.signal('SIGTERM')
  await router.exited
  await waitUntil('no backend to be left', async () => (await bed.cluster.backends(bed.database)).length === 0)
})

test('a drain that waits does not cut off a transaction that goes on and on within the deadline', async () => {
  const router = await bed.startRouter({ timeouts: { drain: '4s' } })
  const client = await open(router)
  await client.query('BEGIN')
  router.signal('SIGTERM')
  for (let n = 0; n < 10; n += 1) {
    assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_sleep(0.1)')), [])
  }
  await client.query('COMMIT')
  assert.equal((await router.exited).code, 0)
})

test('a client in the middle of a TLS handshake keeps nobody from being told', async () => {
  const authority = new CertificateAuthority('routers')
  const { certificate, key } = writeCredentials(files, 'server', authority.issue({ commonName: 'localhost' }))
  const router = await bed.startRouter({ client_tls: { mode: 'allow', certificate, key } })
  const silent = await bed.dial(router)
  silent.send(wire.SSL_REQUEST)
  assert.equal((await silent.raw(1)).toString(), 'S')
  const client = await open(router)
  router.signal('SIGTERM')
  assert.equal(await farewell(client), '57P01')
  assert.equal((await within(3_000, 'the end, before the drain deadline', router.exited)).code, 0)
})
