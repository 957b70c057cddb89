import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { RouterProcess } from '../support/router-process.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

/** The keeper dies without a word, and another one has taken its place. */
async function killKeeper(router: RouterProcess): Promise<void> {
  const { keeper, control } = router.pids
  process.kill(keeper, 'SIGKILL')
  await waitUntil('another keeper and control', () => {
    const pids = router.pids
    return pids.keeper !== keeper && pids.control !== control && pids.standbys.length > 0
  })
}

async function number(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query(`SELECT current_setting('app.number')`))
}

test('keeper killed: clients notice nothing, new ones get in, and a plane’s crash is survivable again', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 30 }, () => open(router)))
  for (const [at, client] of clients.entries()) await client.query(`SET app.number = '${at}'`)
  const busy = await open(router)
  await busy.query('BEGIN')
  await busy.query('CREATE TEMPORARY TABLE t AS SELECT 1 AS one')
  for (let round = 0; round < 2; round += 1) {
    const [plane] = router.pids.planes
    await killKeeper(router)
    assert.deepEqual(router.pids.planes, [plane], 'the plane is the same process')
    assert.equal(onlyValue(await busy.query('SELECT one FROM t')), '1')
    for (const [at, client] of clients.entries()) assert.equal(await number(client), String(at))
    assert.equal(onlyValue(await (await open(router)).query('SELECT 1')), '1')
  }
  await busy.query('COMMIT')
  busy.close()
  const [plane] = router.pids.planes
  process.kill(plane!, 'SIGKILL')
  await waitUntil('its standby', () => router.pids.planes[0] !== plane)
  for (const [at, client] of clients.entries()) assert.equal(await number(client), String(at))
})

test('clients that connect while there is no keeper wait in the kernel, and are served by the next one', async () => {
  const router = await bed.startRouter()
  await open(router)
  const { keeper } = router.pids
  process.kill(keeper, 'SIGKILL')
  const late = await open(router)
  assert.equal(onlyValue(await late.query('SELECT 1')), '1')
  await waitUntil('another keeper', () => router.pids.keeper !== keeper)
})

test('keeper and control killed at once: the plane itself starts a keeper', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const { keeper, control } = router.pids
  process.kill(control, 'SIGSTOP')
  process.kill(keeper, 'SIGKILL')
  process.kill(control, 'SIGKILL')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  await waitUntil('another keeper', () => router.pids.keeper !== keeper)
  assert.equal(onlyValue(await (await open(router)).query('SELECT 1')), '1')
})

test('a keeper that took over is signalled, stopped and upgraded like the first', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  await client.query(`SET app.number = '7'`)
  await killKeeper(router)
  router.signal('SIGUSR2')
  await waitUntil('the upgrade', () => /upgrade done: .* 1 clients were kept/.test(router.tail(1000)), {
    timeoutMs: 60_000,
  })
  assert.equal(await number(client), '7')
  const console = await openConsole(router)
  const { rows } = await console.query('SHOW CLIENTS')
  assert.equal(rows.filter(({ user }) => user === bed.role.user).length, 1)
  await console.end()
})
