import assert from 'node:assert/strict'
import { test } from 'node:test'
import { killPlane } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { sendCancel, WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'
import { prepare, run } from '../support/wire-statements.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess, options: Record<string, string> = {}): Promise<WireClient> {
  const client = await WireClient.open(router, { ...bed.login, parameters: options })
  return bed.onClose(client, (one) => one.close())
}

test('a client at rest notices nothing: same socket, settings, statements, process id and cancel key', async () => {
  const router = await bed.startRouter()
  const client = await open(router, { TimeZone: 'Asia/Tokyo' })
  await client.query(`SET app.tenant = 'blue'; SET work_mem = '7MB'`)
  await client.query(`SET DateStyle = 'German'`)
  await client.exchange(Buffer.concat([wire.parse('sum', 'SELECT $1::int + 1'), wire.sync()]))
  for (let round = 0; round < 3; round += 1) {
    await killPlane(router)
    const execution = Buffer.concat([wire.bind('', 'sum', ['41']), wire.execute(''), wire.sync()])
    assert.equal(onlyValue(await client.exchange(execution)), '42')
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.tenant')`)), 'blue')
    assert.equal(onlyValue(await client.query('SHOW work_mem')), '7MB')
    assert.equal(onlyValue(await client.query('SHOW timezone')), 'Asia/Tokyo')
    assert.equal(onlyValue(await client.query(`SELECT date '2020-02-01'`)), '01.02.2020')
    await client.query('RESET timezone')
    assert.equal(onlyValue(await client.query('SHOW timezone')), 'Asia/Tokyo')
    assert.deepEqual(sqlstatesOf(await client.exchange(Buffer.concat([wire.parse('sum', 'SELECT 1'), wire.sync()]))), [
      '42P05',
    ])
    const slow = client.query('SELECT pg_sleep(60)')
    await waitUntil('the query to run', async () =>
      (await bed.cluster.backends(bed.database)).some(({ state }) => state === 'active'),
    )
    await sendCancel(router, client.cancelPid, client.cancelKey)
    assert.deepEqual(sqlstatesOf(await slow), ['57014'])
  }
})

test('there is room to write sessions down, whatever has come and gone', async () => {
  const router = await bed.startRouter({ limits: { buffer_memory: '16MB' } })
  const long = (number: number): string => `${'x'.repeat(8_000)} ${number}`
  const [first, churning] = [await open(router), await open(router)]
  await first.query(`SET app.own = '${long(-1)}'`)
  for (let at = 0; at < 300; at += 1) await churning.query(`SET app.own = '${long(at)}'`)
  const since = performance.now()
  const console = await openConsole(router)
  await waitUntil('the plane to clear up, as it does once a second', async () => {
    const [plane] = (await console.query('SHOW PLANES')).rows
    return Number(plane.turned_ms_ago) < performance.now() - since - 50
  })
  await console.end()
  const late = await open(router)
  await late.query(`SET app.own = '${long(-2)}'`)
  await killPlane(router)
  assert.equal(onlyValue(await first.query('SHOW app.own')), long(-1))
  assert.equal(onlyValue(await late.query('SHOW app.own')), long(-2))
})

test('half a message that was read before the crash is not lost', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const bytes = wire.query(`SELECT 'whole'`)
  client.send(bytes.subarray(0, 9))
  // The plane reads what comes in order of arrival, so by the time that this is answered it has read the other.
  const other = await open(router)
  await other.query('SELECT 1')
  await killPlane(router)
  client.send(bytes.subarray(9))
  assert.equal(onlyValue(await client.until('Z')), 'whole')
})

test('many clients at rest stay through several crashes', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 100 }, () => open(router)))
  for (const [at, client] of clients.entries()) await client.query(`SET app.number = '${at}'`)
  for (let round = 0; round < 3; round += 1) {
    await killPlane(router)
    for (const [at, client] of clients.entries()) {
      assert.equal(onlyValue(await client.query(`SELECT current_setting('app.number')`)), String(at))
    }
  }
})

test('a client whose server connection does not outlive the plane is told, and its transaction is rolled back', async () => {
  const router = await bed.startRouter({ server_tls: { mode: 'require', on_upgrade: 'disconnect' } })
  const client = await open(router)
  await client.query('BEGIN')
  await killPlane(router)
  const error = await client.next()
  assert.equal(error.type, 'E')
  assert.deepEqual(sqlstatesOf([error]), ['57P01'])
  await client.untilClosed()
  await waitUntil('the transaction to be gone', async () => {
    const backends = await bed.cluster.backends(bed.database)
    return backends.every(({ state }) => state !== 'idle in transaction')
  })
})

test('a statement too long to be written down is there as long as its server connection', async () => {
  const router = await bed.startRouter()
  const [client, late] = [await open(router), await open(router)]
  for (const one of [client, late]) await prepare(one, 'long', `SELECT length('${'x'.repeat(100_000)}')`)
  await killPlane(router)
  assert.equal(onlyValue(await client.exchange(run('long'))), '100000')
  const console = await openConsole(router)
  await client.goodbye()
  await waitUntil('the plane to be told', async () => (await console.query('RECONNECT')).command !== '')
  await console.end()
  assert.deepEqual(sqlstatesOf(await late.exchange(run('long'))), ['26000'])
  assert.equal(onlyValue(await late.query('SELECT 1')), '1')
})

test('a client at rest keeps its tier, whoever decided it', async () => {
  const rules = [{ application: 'nightly-*', tier: 'background' }]
  const router = await bed.startRouter({ tiers: { rules } })
  const ruled = await open(router, { application_name: 'nightly-1' })
  const hinted = await open(router)
  await hinted.query("SET switchyard.tier = 'low'")
  await killPlane(router)
  assert.equal(onlyValue(await ruled.query('SHOW switchyard.tier')), 'background')
  assert.equal(onlyValue(await hinted.query('SHOW switchyard.tier')), 'low')
})
