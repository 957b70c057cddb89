import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { test } from 'node:test'
import { CertificateAuthority, writeCredentials } from '../support/certificates.ts'
import { clientHello } from '../support/client-hello.ts'
import { installOtherVersion } from '../support/other-version.ts'
import { planesOf } from '../support/plane-killer.ts'
import type { RouterProcess } from '../support/router-process.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { SSL_REQUEST } from '../support/wire-frames.ts'
import { onlyValue } from '../support/wire-message.ts'

const BIN = join(import.meta.dirname, '../../bin/switchyard.js')

/** An upgrade starts a handful of processes, one after another. */
const LONG = { timeoutMs: 60_000 }

const bed = await Testbed.open({ routerOnly: true, start: false })

async function open(router: RouterProcess): Promise<WireClient> {
  return bed.onClose(await WireClient.open(router, bed.login), (client) => client.close())
}

/** `switchyard upgrade` for this router, to its end. */
async function upgrade(router: RouterProcess, ...flags: readonly string[]) {
  const child = spawn(process.execPath, [BIN, 'upgrade', '--data', join(router.directory, 'data'), ...flags], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined },
  })
  bed.onClose(child, () => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code] = await within(60_000, 'the upgrade to end', once(child, 'close'))
  return { code: Number(code), output }
}

/** Rows of a console command, of whichever control process is there now. */
async function show(router: RouterProcess, command: string): Promise<Record<string, unknown>[]> {
  const console = await openConsole(router)
  try {
    return (await console.query(`SHOW ${command}`)).rows
  } finally {
    await console.end()
  }
}

async function stateOf(router: RouterProcess): Promise<Record<string, string>> {
  return Object.fromEntries((await show(router, 'STATE')).map(({ key, value }) => [key, String(value)]))
}

test('switchyard upgrade: another version takes over, clients at rest stay, and back again', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(router)))
  for (const [at, client] of clients.entries()) await client.query(`SET app.number = '${at}'`)
  const before = router.pids
  const program = installOtherVersion(join(router.directory, 'next'), { version: '9.9.9' })
  const there = await upgrade(router, '--to', program)
  assert.match(
    there.output,
    /Switchyard 9\.9\.9 serves\. 20 clients were kept, 0 dropped; the longest wait was [\d.]+ ms\./,
  )
  assert.equal(there.code, 0)
  for (const [at, client] of clients.entries()) {
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.number')`)), String(at))
  }
  assert.deepEqual(await show(router, 'VERSION'), [{ version: 'Switchyard 9.9.9' }])
  assert.match((await stateOf(router)).upgrade ?? '', /Switchyard 9\.9\.9 serves\. 20 clients were kept/)
  const after = router.pids
  assert.equal(after.keeper, before.keeper)
  assert.notEqual(after.control, before.control)
  assert.notDeepEqual(after.planes, before.planes)
  const back = await upgrade(router, '--to', BIN)
  assert.equal(back.code, 0, back.output)
  assert.notDeepEqual(await show(router, 'VERSION'), [{ version: 'Switchyard 9.9.9' }])
  assert.equal(onlyValue(await clients[7]!.query(`SELECT current_setting('app.number')`)), '7')
})

test('switchyard upgrade --keeper: the keeper as well, in place, with the same process id', async () => {
  const router = await bed.startRouter()
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(router)))
  for (const [at, client] of clients.entries()) await client.query(`SET app.number = '${at}'`)
  const { keeper } = router.pids
  const program = installOtherVersion(join(router.directory, 'next'), { version: '9.9.9' })
  const { code, output } = await upgrade(router, '--to', program, '--keeper')
  assert.equal(code, 0, output)
  // For a moment there is no control process to be listed with them.
  const planes = await waitUntil('the plane', () => (planesOf(router).length > 0 ? planesOf(router) : null))
  assert.ok(planes)
  // The old control process is about to go, the next one is not there: whoever comes meanwhile is let in all the same.
  do {
    const console = await openConsole(router)
    await console.end().catch(() => {})
  } while (!/this process takes its place/.test(router.tail(1000)))
  await (await openConsole(router)).end()
  await waitUntil('all processes', () => router.pids.standbys.length > 0, LONG)
  assert.deepEqual([router.pids.keeper, router.pids.planes], [keeper, planes])
  assert.match((await stateOf(router)).upgrade ?? '', /Switchyard 9\.9\.9 serves\. 20 clients were kept/)
  // By a control process that was there when it happened, and is not any more.
  const [report] = await show(router, 'PRESERVATION')
  assert.deepEqual([report?.event, Number(report?.kept), Number(report?.dropped)], ['upgrade', 20, 0])
  assert.equal((await show(router, 'PRESERVED_CLIENTS')).length, 20)
  process.kill(planes[0]!, 'SIGKILL')
  await waitUntil('the standby to serve', () => router.pids.planes[0] !== planes[0], LONG)
  for (const [at, client] of clients.entries()) {
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.number')`)), String(at))
  }
})

test('what became of each client is in the console, over HTTP and in the metrics', async () => {
  const issued = new CertificateAuthority('routers').issue({ commonName: 'localhost', names: ['127.0.0.1'] })
  const { certificate, key } = writeCredentials(temporaryDirectory(), 'server', issued)
  const router = await bed.startRouter({ client_tls: { mode: 'allow', certificate, key } })
  const kept = await open(router)
  const leaving = await WireClient.connect(router)
  bed.onClose(leaving, (client) => client.close())
  // A TLS handshake that has been answered is in OpenSSL's hands.
  leaving.send(SSL_REQUEST)
  assert.equal((await leaving.raw(1)).toString(), 'S')
  leaving.send(await clientHello())
  assert.equal((await leaving.raw(1))[0], 0x16)
  await kept.query('SELECT 1')
  process.kill(router.pids.keeper, 'SIGUSR2')
  await waitUntil('the upgrade', () => /upgrade done: .* were kept/.test(router.tail(1000)), LONG)
  const json = async (path: string) =>
    (await (await fetch(`http://127.0.0.1:${router.httpPort}${path}`)).json()) as Record<string, unknown>[]
  // The plane has said so when nobody waited for it any more.
  await waitUntil('the report', async () => (await json('/api/preserved-clients')).length === 2, LONG)
  const [event] = await show(router, 'PRESERVATION')
  assert.equal(event?.event, 'upgrade')
  assert.equal(Number(event.kept), 1)
  assert.equal(Number(event.dropped), 1)
  assert.equal(event.reasons, 'its login was not over: 1')
  assert.deepEqual(
    (await json('/api/preservation')).map(({ event_id, dropped }) => [event_id, dropped]),
    [[1, 1]],
  )
  const { control } = router.pids
  process.kill(control, 'SIGKILL')
  await waitUntil('another control', () => ![0, control].includes(router.pids.control))
  // What the one before was told is what this one tells.
  assert.deepEqual(await show(router, 'PRESERVATION'), [event])
  const clients = await json('/api/preserved-clients')
  assert.deepEqual(
    clients.map(({ outcome, reason, user }) => [outcome, reason, user]),
    [
      ['kept', null, bed.role.user],
      ['dropped', 'its login was not over', ''],
    ],
  )
  const metrics = await (await fetch(`http://127.0.0.1:${router.httpPort}/metrics`)).text()
  for (const line of [
    'takeovers_total{plane="0"} 1',
    'clients_kept_total{plane="0"} 1',
    'clients_dropped_total{plane="0"} 1',
  ]) {
    assert.ok(metrics.includes(`switchyard_plane_${line}`), line)
  }
})

test('UPGRADE in the console answers when it has begun; a program that cannot take over is refused with a reason', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  const console = await openConsole(router)
  await assert.rejects(console.query(`UPGRADE '/nowhere/switchyard.js'`), {
    code: '55000',
    message: /^There is no program at \/nowhere\/switchyard\.js/,
  })
  const notices: string[] = []
  console.on('notice', ({ message }) => notices.push(String(message)))
  await console.query('UPGRADE')
  assert.match(notices.join(), /^The upgrade has begun\./)
  await console.end().catch(() => {})
  await waitUntil('the upgrade', () => /upgrade done: .* 1 clients were kept/.test(router.tail(1000)), LONG)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a version that cannot read the memory, or the configuration, is refused, and nothing has happened', async () => {
  const router = await bed.startRouter()
  const { control, planes } = router.pids
  const program = installOtherVersion(join(router.directory, 'far'), {
    version: '99.0.0',
    layout: (source) => source.replaceAll(/(LAYOUT_VERSION|OLDEST_READABLE_LAYOUT) = \d+/g, '$1 = 1000'),
  })
  const far = await upgrade(router, '--to', program)
  assert.equal(far.code, 1)
  assert.match(
    far.output,
    /^Not upgraded, nothing has happened: Switchyard 99\.0\.0 cannot take over: the shared memory has layout \d+, and this version reads 1000\./,
  )
  router.writeSettings({ ...bed.settings(), pool: { size: 'many' } })
  const wrong = await upgrade(router)
  assert.equal(wrong.code, 1)
  assert.match(wrong.output, /it does not accept the configuration\. .*pool\.size is "many"/)
  assert.deepEqual([router.pids.control, router.pids.planes], [control, planes])
})

test('a version whose layout is one further goes there and back', async () => {
  const router = await bed.startRouter()
  const client = await open(router)
  await client.query(`SET app.tenant = 'blue'`)
  const program = installOtherVersion(join(router.directory, 'one-further'), {
    version: '9.9.9',
    layout: (source) =>
      source.replace(/LAYOUT_VERSION = (\d+)/, (_, version) => `LAYOUT_VERSION = ${Number(version) + 1}`),
  })
  for (const to of [program, BIN]) {
    const { code, output } = await upgrade(router, '--to', to)
    assert.equal(code, 0, output)
    assert.equal(onlyValue(await client.query(`SELECT current_setting('app.tenant')`)), 'blue')
  }
})

test('a router that does not run cannot be upgraded', async () => {
  const router = await bed.startRouter()
  const { code, output } = await upgrade({ directory: join(router.directory, 'elsewhere') } as RouterProcess)
  assert.equal(code, 1)
  assert.match(output, /^No router answers at .*; name the data directory of one that runs/)
})
