import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { release } from 'node:os'
import { test } from 'node:test'
import { killPlane } from '../support/plane-killer.ts'
import { openDescriptors } from '../support/process-usage.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { repeats } from '../support/thoroughness.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { query } from '../support/wire-frames.ts'
import { onlyValue, sqlstatesOf } from '../support/wire-message.ts'
import { WireClosed } from '../support/wire-stream.ts'

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

/** The number of a metric whose line begins so. */
async function metric(router: RouterProcess, name: string): Promise<number> {
  const page = await (await fetch(`http://127.0.0.1:${router.httpPort}/metrics`)).text()
  const line = page.split('\n').find((one) => one.startsWith(name))
  return Number(line?.split(' ').at(-1))
}

test('control killed in a loop while queries go on: none fails, and what was known is known again', async () => {
  const router = await bed.startRouter({ databases: { '*': {}, other: { name: bed.database } } })
  const client = await open(router)
  const first = await openConsole(router)
  await first.query('PAUSE other')
  await first.end()
  const before = await metric(router, `switchyard_queries_total{database="${bed.database}"`)
  let isOver = false
  let queries = 0
  const asking = (async () => {
    for (; !isOver; queries += 1) assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), [])
  })()
  for (let round = 0; round < 3; round += 1) {
    const { control } = router.pids
    process.kill(control, 'SIGKILL')
    await waitUntil('another control process', () => router.pids.control !== control)
    // Sometimes it is back by then, sometimes it dies while it starts.
    await new Promise((resolve) => setTimeout(resolve, round * 300))
  }
  const console = await waitUntil('the console', () => openConsole(router), { timeoutMs: 20_000 })
  isOver = true
  await asking
  const { rows } = await console.query('SHOW STATE')
  assert.ok(rows.some(({ key, value }) => key === 'paused_databases' && value === 'other'))
  await console.query('RESUME')
  await console.end()
  const after = await waitUntil('HTTP', () => metric(router, `switchyard_queries_total{database="${bed.database}"`))
  assert.ok(after >= before + queries, `${after} queries are counted of ${before} and ${queries}`)
})

test('a console whose control process dies is told so', async () => {
  const router = await bed.startRouter()
  const console = await openConsole(router)
  const failure = new Promise<Error & { code?: string }>((resolve) => console.on('error', resolve))
  process.kill(router.pids.control, 'SIGKILL')
  const { code, message } = await within(5_000, 'the end of the console', failure)
  assert.equal(code, '08006')
  assert.match(message, /the server connection was lost/)
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

/** Server connections end with their plane, and with them the transactions on them. */
const NO_SERVER_OUTLIVES = { server_tls: { mode: 'require', on_upgrade: 'disconnect' } }

/** What a client was told until its connection ended: SQLSTATEs of errors. */
async function lastWords(client: WireClient): Promise<string[]> {
  return sqlstatesOf((await client.untilClosed()).messages)
}

test('plane killed while control is stopped: its successor serves by what control has said before', async () => {
  const router = await bed.startRouter({ databases: { '*': {}, other: { name: bed.database } } })
  const client = await open(router)
  const paused = bed.onClose(await WireClient.open(router, { ...bed.login, database: 'other' }), (one) => one.close())
  const console = await openConsole(router)
  await console.query('PAUSE other')
  await console.end()
  const { control } = router.pids
  let isAnswered = false
  process.kill(control, 'SIGSTOP')
  const answer = paused.query('SELECT 1').finally(() => {
    isAnswered = true
  })
  try {
    await killPlane(router)
    for (let n = 0; n < 50; n += 1) {
      assert.deepEqual(sqlstatesOf(await within(5_000, 'an answer', client.query('SELECT 1'))), [])
    }
    assert.ok(await within(5_000, 'a new client', serves(router)))
    assert.equal(isAnswered, false, 'the other database is paused')
  } finally {
    process.kill(control, 'SIGCONT')
  }
  const again = await waitUntil('the console', () => openConsole(router), { timeoutMs: 20_000 })
  await again.query('RESUME other')
  await again.end()
  assert.deepEqual(sqlstatesOf(await answer), [])
})

test('plane killed: its standby serves everybody, but who was in a transaction is told', async () => {
  const router = await bed.startRouter(NO_SERVER_OUTLIVES)
  const idle = await open(router)
  const busy = await open(router)
  await busy.query('BEGIN')
  const { planes } = router.pids
  const standby = await waitUntil('a standby', () => router.pids.standbys[0])
  process.kill(planes[0]!, 'SIGKILL')
  const { messages } = await busy.untilClosed()
  assert.deepEqual(
    messages.map(({ type, fields }) => [type, fields.S, fields.C, fields.M]),
    [['E', 'FATAL', '57P01', 'terminating connection due to administrator command']],
  )
  assert.match(messages[0]?.fields.H ?? '', /reconnect to the database and repeat your command/)
  assert.equal(onlyValue(await idle.query('SELECT 1')), '1')
  assert.ok(await within(5_000, 'a new client', serves(router)))
  assert.deepEqual(router.pids.planes, [standby])
  await waitUntil('the old transaction to be gone', async () => {
    const backends = await bed.cluster.backends(bed.database)
    return backends.every((backend) => backend.state !== 'idle in transaction')
  })
})

/** Clients of the test, or their server connections, as the console sees them. */
async function connected(router: RouterProcess, command = 'CLIENTS'): Promise<Record<string, unknown>[]> {
  const console = await openConsole(router)
  try {
    const { rows } = await console.query(`SHOW ${command}`)
    return rows.filter((row) => row.user === bed.role.user)
  } finally {
    await console.end()
  }
}

/** All bytes up to the end of the connection. */
async function restOf(client: WireClient): Promise<Buffer> {
  const parts: Buffer[] = []
  for (let bytes = 65_536; bytes > 0; ) {
    try {
      parts.push(await client.raw(bytes))
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error
      bytes >>= 1
    }
  }
  return Buffer.concat(parts)
}

/** SIGINT waits to be taken by this process: a cancel request has come. */
function isToCancel(pid: number): boolean {
  const pending = /^ShdPnd:\s*([0-9a-f]+)$/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? '0'
  return (Number.parseInt(pending.slice(-2), 16) & 0x02) !== 0
}

test('plane killed between the two cancel requests for what a client has left behind: its successor sends the second', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const backend = Number(onlyValue(await client.query('SELECT pg_backend_pid()')))
  // It takes the first request before it begins with the query, and no notice of it.
  process.kill(backend, 'SIGSTOP')
  try {
    client.send(query('SELECT pg_sleep(60) /* abandoned */'))
    await waitUntil('the query to be passed on', async () =>
      (await connected(router, 'SERVERS')).some(({ state }) => state === 'active'),
    )
    client.reset()
    await waitUntil('the first cancel request', () => isToCancel(backend))
    await killPlane(router)
  } finally {
    process.kill(backend, 'SIGCONT')
  }
  await waitUntil('its end', async () => (await bed.cluster.backends(bed.database)).every(({ pid }) => pid !== backend))
})

test('plane killed in the middle of a message: nothing is put into it', async () => {
  const router = await bed.startRouter(NO_SERVER_OUTLIVES)
  const client = await open(router)
  client.send(query("SELECT repeat('x', 60000000)"))
  assert.equal((await client.next()).type, 'T')
  // Of a value that is longer than what the kernel and the router have room for.
  await client.raw(1_000)
  const plane = router.pids.planes[0]!
  process.kill(plane, 'SIGKILL')
  await waitUntil('a new plane', () => router.pids.planes[0] !== plane)
  await waitUntil('a new client', () => serves(router))
  const rest = await restOf(client)
  assert.ok(rest.length > 0 && rest.length < 60_000_000)
  assert.equal(rest.subarray(-300).toString('latin1'), 'x'.repeat(300))
})

test('plane killed again and again with clients connected: nothing is left over in the keeper', async () => {
  const router = await bed.startRouter(NO_SERVER_OUTLIVES)
  const { keeper } = router.pids
  const withStandby = () => waitUntil('a standby', () => router.pids.standbys[0])
  await withStandby()
  await serves(router)
  await waitUntil('its connection to be gone', async () => (await connected(router)).length === 0)
  const before = openDescriptors(keeper)
  for (let round = 0; round < repeats(4); round += 1) {
    const clients = await Promise.all(Array.from({ length: 10 }, () => open(router)))
    for (const client of clients) await client.query('BEGIN')
    process.kill(router.pids.planes[0]!, 'SIGKILL')
    for (const client of clients) assert.deepEqual(await lastWords(client), ['57P01'])
    await waitUntil('a client to be served', () => serves(router))
  }
  await withStandby()
  // Server connections come and go; the pool of some rounds is not what is looked for.
  await waitUntil('as many descriptors as before', () => openDescriptors(keeper) <= before + 1)
})

/** Linux 6.1 and later. */
const collapsesPages = release().localeCompare('6.1', 'en', { numeric: true }) >= 0

/** How much of the C library's heap is on huge pages, in a plane that is ready. */
function hugeHeapKilobytes(pid: number): number {
  const [, heap = ''] = readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/^.*\[heap\]$/m)
  return Number(/^AnonHugePages: +(\d+) kB$/m.exec(heap)?.[1])
}

test('plane killed with a thousand clients: each of them is served at once, and new ones too', async () => {
  const settings = {
    limits: { max_clients: 1_100 },
    auth: { hba: [{ type: 'host', user: bed.role.user, address: '127.0.0.1', method: 'trust' }] },
  }
  // As it is by default: the standby has rehearsed this.
  const router = await bed.startRouter(settings, { env: { SWITCHYARD_REHEARSAL: 'on', SWITCHYARD_HUGE_PAGES: 'on' } })
  if (collapsesPages) assert.ok(hugeHeapKilobytes(router.pids.planes[0]!) > 0)
  const clients: WireClient[] = []
  for (let batch = 0; batch < 20; batch += 1) {
    clients.push(...(await Promise.all(Array.from({ length: 50 }, () => open(router)))))
  }
  await waitUntil('a standby', () => router.pids.standbys[0])
  process.kill(router.pids.planes[0]!, 'SIGKILL')
  const answers = await Promise.all(clients.map((client) => client.query('SELECT 1')))
  assert.equal(answers.filter((answer) => onlyValue(answer) === '1').length, 1_000)
  assert.doesNotMatch(router.tail(1000), /rehearsal went wrong/)
  assert.ok(await within(5_000, 'a new client', serves(router)))
})

test('a plane that crashes while it serves nobody blames nobody', async () => {
  const router = await bed.startRouter(NO_SERVER_OUTLIVES)
  for (let round = 0; round < 2; round += 1) {
    const client = await waitUntil('a client', () => open(router))
    await client.query('BEGIN')
    process.kill(router.pids.planes[0]!, 'SIGSEGV')
    assert.deepEqual(await lastWords(client), ['57P01'])
  }
  assert.doesNotMatch(router.tail(500), /while it served/)
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
