import assert from 'node:assert/strict'
import { test } from 'node:test'
import { descendants, isRunning } from '../support/process-usage.ts'
import { RouterProcess } from '../support/router-process.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'

const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

/** Whether a new client gets in and is served. */
async function serves(router: RouterProcess): Promise<boolean> {
  const client = await WireClient.open(router, bed.login)
  try {
    return onlyValue(await client.query('SELECT 1')) === '1'
  } finally {
    client.close()
  }
}

test('control killed: clients notice nothing, new ones get in, and it comes back', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const { control } = router.pids
  process.kill(control, 'SIGKILL')
  for (let n = 0; n < 20; n += 1) assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), [])
  assert.ok(await serves(router))
  await waitUntil('another control process', () => router.pids.control !== control)
  const console = await waitUntil('the console', () => openConsole(router))
  const { rows } = await console.query('SHOW CLIENTS')
  assert.ok(
    rows.some((row) => row.user === bed.role.user),
    'the new control process does not know the old clients',
  )
  await console.end()
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), [])
})

test('control stopped (SIGSTOP): queries and logins go on as if nothing were', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const { control } = router.pids
  process.kill(control, 'SIGSTOP')
  try {
    for (let n = 0; n < 50; n += 1) {
      assert.deepEqual(sqlstatesOf(await within(1_000, 'an answer', client.query('SELECT 1'))), [])
    }
    assert.ok(await within(5_000, 'a new client', serves(router)))
  } finally {
    process.kill(control, 'SIGCONT')
  }
})

test('plane killed: it is replaced, and new clients are served', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  await client.query('BEGIN')
  const { planes } = router.pids
  process.kill(planes[0]!, 'SIGKILL')
  await waitUntil('a new plane to serve', () => serves(router))
  // Sessions of a plane that died do not live on yet; at least they do not hang.
  await client.untilClosed()
  assert.notDeepEqual(router.pids.planes, planes)
  await waitUntil('the old transaction to be gone', async () => {
    const backends = await bed.cluster.backends(bed.database)
    return backends.every((backend) => backend.state !== 'idle in transaction')
  })
})

test('plane killed again and again: it is always replaced', async () => {
  const router = await bed.startRouter()
  for (let round = 0; round < 3; round += 1) {
    const [plane] = router.pids.planes
    process.kill(plane!, 'SIGKILL')
    await waitUntil('another plane', () => router.pids.planes[0] !== plane)
    await waitUntil('a client to be served', () => serves(router))
  }
})

test('keeper killed: nothing of the router is left', async () => {
  const router = await RouterProcess.start(bed.settings())
  bed.onClose(router, () => router.kill())
  const { keeper } = router.pids
  const children = descendants(keeper)
  process.kill(keeper, 'SIGKILL')
  // Its port may be somebody else's by now.
  await waitUntil('all processes to end', () => children.every((child) => !isRunning(child)))
})
