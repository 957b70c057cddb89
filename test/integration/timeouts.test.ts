import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouterProcess } from '../support/router-process.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })

async function start(timeouts: Record<string, string>): Promise<RouterProcess> {
  return await bed.startRouter({ timeouts: { drain: '2s', ...timeouts } })
}

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

async function farewell(client: WireClient): Promise<string | undefined> {
  const { messages } = await client.untilClosed()
  assert.equal(messages.at(-1)?.fields.S, 'FATAL', messages.join(' '))
  return messages.at(-1)?.sqlstate
}

test('client_idle: a client that says nothing is told 57P05 and closed, one that talks is not', async () => {
  const router = await start({ client_idle: '600ms' })
  const [silent, talking] = [await open(router), await open(router)]
  let isTalking = true
  const talk = (async () => {
    while (isTalking) {
      assert.deepEqual(sqlstatesOf(await talking.query('SELECT pg_sleep(0.1)')), [])
    }
  })()
  assert.equal(await farewell(silent), '57P05')
  isTalking = false
  await talk
})

test('client_idle: a query that takes longer than that is not idleness', async () => {
  const router = await start({ client_idle: '400ms' })
  const client = await open(router)
  assert.equal(onlyValue(await client.query(`SELECT 'slow' FROM pg_sleep(1)`)), 'slow')
})

test('idle_transaction: a client that says nothing inside of a transaction is told 25P03, and it is rolled back', async () => {
  const router = await start({ idle_transaction: '500ms' })
  const client = await open(router)
  await client.query('CREATE TABLE forgotten (x int)')
  await client.query('BEGIN; INSERT INTO forgotten VALUES (1)')
  assert.equal(await farewell(client), '25P03')
  const other = await open(router)
  assert.equal(onlyValue(await other.query('SELECT count(*) FROM forgotten')), '0')
})

test('idle_transaction: outside of a transaction nothing happens', async () => {
  const router = await start({ idle_transaction: '300ms' })
  const client = await open(router)
  await client.query('SELECT 1')
  assert.ok(await client.staysSilent(700))
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('query: one that runs too long is cancelled with 57014, and its client goes on', async () => {
  const router = await start({ query: '500ms' })
  const client = await open(router)
  const started = performance.now()
  const answer = await client.query('SELECT pg_sleep(30)')
  assert.ok(performance.now() - started < 10_000)
  assert.deepEqual(sqlstatesOf(answer), ['57014'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  const running = await bed.sql(
    `SELECT 1 FROM pg_stat_activity WHERE datname = $1 AND query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()`,
    [bed.database],
  )
  assert.deepEqual(running, [])
})

test('server_check: a server connection that lay idle is asked before it is used, and replaced when it is dead', async () => {
  const router = await start({ server_check: '100ms' })
  const client = await open(router)
  for (let round = 0; round < 3; round += 1) {
    await client.query('SELECT 1')
    await new Promise((resolve) => setTimeout(resolve, 200))
    await bed.cluster.sql('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1', [bed.database])
    assert.equal(onlyValue(await client.query(`SELECT 'alive'`)), 'alive')
  }
})

test('a limit of 0 is no limit', async () => {
  const router = await start({ client_idle: '0s', idle_transaction: '0s', query: '0s', query_wait: '0s' })
  const client = await open(router)
  await client.query('BEGIN')
  assert.ok(await client.staysSilent(500))
  assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_sleep(0.5)')), [])
  await client.query('COMMIT')
})

test('a client whose time is over while it waits in a pipeline does not take the router with it', async () => {
  const router = await start({ query: '300ms' })
  const client = await open(router)
  client.send(wire.query('SELECT pg_sleep(5)'), wire.query('SELECT 2'), wire.extendedQuery('SELECT 3'))
  assert.deepEqual(sqlstatesOf(await client.until('Z')), ['57014'])
  assert.equal(onlyValue(await client.until('Z')), '2')
  assert.equal(onlyValue(await client.until('Z')), '3')
  await waitUntil('the router to be well', async () => (await fetch(`http://127.0.0.1:${router.httpPort}/healthz`)).ok)
})
