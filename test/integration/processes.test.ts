import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import pg from 'pg'
import { nicenessOf } from '../support/niceness.ts'
import { descendants, isRunning, openDescriptors } from '../support/process-usage.ts'
import { type RouterPids, RouterProcess } from '../support/router-process.ts'
import { toToml } from '../support/router-settings.ts'
import { openConsole, Testbed } from '../support/testbed.ts'
import { waitUntil, within } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import { onlyValue } from '../support/wire-message.ts'

const BIN = join(import.meta.dirname, '../../bin/switchyard.js')

const bed = await Testbed.open({ routerOnly: true, leakCheck: false, start: false })

interface Run {
  readonly code: number | null
  readonly output: string
}

/** The command line to its end; killed after ten seconds. */
async function run(t: TestContext, parameters: readonly string[], env: Record<string, string> = {}): Promise<Run> {
  const child: ChildProcess = spawn(process.execPath, [BIN, ...parameters], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NODE_TEST_CONTEXT: undefined, ...env },
  })
  t.after(() => child.kill('SIGKILL'))
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      output += text
    })
  }
  const [code] = await within(10_000, 'the command to end', once(child, 'close'))
  return { code, output }
}

function scratch(t: TestContext): string {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-test-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

async function open(t: TestContext, router: RouterProcess): Promise<WireClient> {
  const client = await WireClient.open(router, bed.login)
  t.after(() => client.close())
  return client
}

async function ask(client: WireClient): Promise<string | null> {
  return onlyValue(await client.query('SELECT 1'))
}

/** Another process of this kind than `pid`. */
async function successor(router: RouterProcess, kind: (pids: RouterPids) => number | undefined, pid: number) {
  return await waitUntil('another process', () => {
    const found = kind(router.pids)
    return found !== undefined && found !== pid ? found : null
  })
}

test('each process says in its title what it is', async () => {
  const router = await bed.startRouter()
  const { keeper, control, planes } = router.pids
  const title = (pid: number): string => readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ').trim()
  const standbys = await waitUntil('a standby', () => (router.pids.standbys.length > 0 ? router.pids.standbys : null))
  assert.deepEqual([keeper, control, ...planes, ...(standbys ?? [])].map(title), [
    'switchyard: keeper',
    'switchyard: control',
    'switchyard: plane 0',
    'switchyard: plane 0 (standby)',
  ])
})

test('control that is killed has a successor that knows the planes, and clients do not notice', async (t) => {
  const router = await bed.startRouter()
  const client = await open(t, router)
  const { control } = router.pids
  process.kill(control, 'SIGKILL')
  assert.equal(await ask(client), '1')
  // A login to the console waits for the next one.
  const early = await openConsole(router)
  assert.equal((await early.query('SHOW VERSION')).rowCount, 1)
  await early.end()
  await successor(router, (pids) => pids.control, control)
  await waitUntil('the plane to be linked again', async () => {
    const console = await openConsole(router)
    try {
      await console.query('PAUSE')
      await console.query('RESUME')
      return true
    } finally {
      await console.end()
    }
  })
  assert.equal(await ask(client), '1')
  assert.equal(await ask(await open(t, router)), '1')
})

/** `VmFlags` of the parts of the shared memory that this process has mapped. */
function memoryFlags(pid: number): readonly (readonly string[])[] {
  const mappings = readFileSync(`/proc/${pid}/smaps`, 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  return mappings
    .filter((mapping) => mapping.includes('/memfd:switchyard '))
    .map((mapping) => /^VmFlags: (.*)$/m.exec(mapping)?.[1]?.trim().split(' ') ?? [])
}

test('keys of TLS connections are in no process’s core dump, and a plane has them locked', async () => {
  const router = await bed.startRouter()
  const { keeper, control, planes } = router.pids
  const standbys = await waitUntil('a standby', () => (router.pids.standbys.length > 0 ? router.pids.standbys : null))
  for (const pid of [keeper, control, ...planes, ...(standbys ?? [])]) {
    // A standby that boots has not mapped it yet.
    await waitUntil(
      `process ${pid} to hide them`,
      () => memoryFlags(pid).filter((flags) => flags.includes('dd')).length === 1,
    )
  }
  if (/keys of TLS connections may be swapped/.test(router.tail(1000))) return
  assert.equal(memoryFlags(planes[0]!).filter((flags) => flags.includes('dd') && flags.includes('lo')).length, 1)
})

test('a plane that is killed has its standby for a successor, which serves its clients and new ones, with its full share of the CPU', async (t) => {
  const router = await bed.startRouter()
  const client = await open(t, router)
  await ask(client)
  const [plane] = router.pids.planes
  const standby = await waitUntil('a standby', () => router.pids.standbys[0])
  assert.ok(plane && standby)
  const canBeNice = nicenessOf(plane) !== null
  if (canBeNice) assert.deepEqual([plane, standby].map(nicenessOf), [0, 5])
  process.kill(plane, 'SIGKILL')
  assert.equal(await ask(client), '1')
  assert.deepEqual(router.pids.planes, [standby])
  if (canBeNice) await waitUntil('the kernel to let it', () => nicenessOf(standby) === 0)
  const next = await waitUntil('a new client to be served', () => open(t, router))
  assert.equal(await ask(next), '1')
})

test('with --supervised nobody but the service manager starts a keeper, and that one finds the plane', async (t) => {
  const router = await RouterProcess.start(bed.settings(), { flags: ['--supervised'] })
  t.after(() => router.kill())
  const client = await open(t, router)
  const { keeper, control, planes } = router.pids
  const children = descendants(keeper)
  process.kill(keeper, 'SIGKILL')
  await router.exited
  await waitUntil('control to end', () => !children.some((child) => child.pid === control && isRunning(child)))
  assert.equal(await ask(client), '1')
  const successor = spawn(process.execPath, [BIN, 'start', '--config', router.configFile, '--supervised'], {
    stdio: 'ignore',
    env: {
      ...process.env,
      NODE_TEST_CONTEXT: undefined,
      SWITCHYARD_DATA: join(router.directory, 'data'),
      SWITCHYARD_PORT: String(router.port),
      SWITCHYARD_HTTP_PORT: String(router.httpPort),
    },
  })
  t.after(() => successor.kill('SIGKILL'))
  assert.equal(await ask(await open(t, router)), '1')
  assert.equal(await ask(client), '1')
  await waitUntil('all processes', () => router.pids.standbys.length > 0)
  assert.deepEqual([router.pids.keeper, router.pids.planes], [successor.pid, planes])
  successor.kill('SIGTERM')
  assert.deepEqual(await within(10_000, 'the end', once(successor, 'exit')), [0, null])
  await waitUntil('the plane to end', () => !children.some(isRunning))
})

test('signals to the children change nothing: the keeper decides', async (t) => {
  const router = await bed.startRouter()
  const client = await open(t, router)
  await waitUntil('a standby', () => router.pids.standbys.length > 0)
  const { control, planes, standbys } = router.pids
  for (const pid of [control, ...planes, ...standbys])
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.kill(pid, signal)
  assert.equal(await ask(client), '1')
  assert.equal(await ask(await open(t, router)), '1')
  assert.deepEqual([router.pids.control, router.pids.planes, router.pids.standbys], [control, planes, standbys])
})

test('a second signal does not wait for transactions', async (t) => {
  const router = await RouterProcess.start(bed.settings({ timeouts: { drain: '1h' } }))
  t.after(() => router.kill())
  const client = await open(t, router)
  await client.query('BEGIN')
  const { control, planes } = router.pids
  router.signal('SIGINT')
  await waitUntil('the drain', () => /stopping \(drain\): SIGINT/.test(router.tail(100)))
  assert.equal(await ask(client), '1')
  // Two that come together are one: npm passes on what the terminal has sent to us as well.
  await waitUntil('the second one to count', () => {
    router.signal('SIGINT')
    return /stopping \(immediate\): SIGINT again/.test(router.tail(100))
  })
  assert.deepEqual(await within(5_000, 'the end', router.exited), { code: 0, signal: null })
  await client.untilClosed()
  for (const pid of [control, ...planes]) assert.throws(() => process.kill(pid, 0))
})

test('the keeper holds one descriptor of each client, for as long as it is connected', async (t) => {
  const router = await bed.startRouter()
  const { keeper } = router.pids
  await waitUntil('a standby, whose channel is a descriptor as well', () => router.pids.standbys.length > 0)
  const first = await open(t, router)
  await ask(first)
  const before = openDescriptors(keeper)
  const clients = await Promise.all(Array.from({ length: 20 }, () => open(t, router)))
  assert.equal(openDescriptors(keeper), before + 20)
  for (const client of clients) client.close()
  await waitUntil('the descriptors to be closed', () => openDescriptors(keeper) === before)
})

test('a client reaches the router over the Unix socket, which goes with it', async (t) => {
  const directory = scratch(t)
  const router = await bed.startRouter({ listen: { unix_socket_directory: directory } })
  const client = new pg.Client({ host: directory, port: router.port, ...bed.role, database: bed.database })
  await client.connect()
  assert.deepEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  await client.end()
  await router.stop()
  assert.deepEqual(readdirSync(directory), [])
})

test('a second router with the same data directory is refused with a sentence, and the first goes on', async (t) => {
  const router = await bed.startRouter()
  const env = { SWITCHYARD_PORT: '0', SWITCHYARD_HTTP_PORT: '0', SWITCHYARD_DATA: join(router.directory, 'data') }
  const { code, output } = await run(t, ['start', '--config', router.configFile], env)
  assert.equal(code, 1)
  assert.match(output, new RegExp(`is in use by another Switchyard \\(process ${router.pids.keeper}\\)`))
  assert.equal(await ask(await open(t, router)), '1')
})

test('a port that is taken, for clients or for HTTP, is a sentence that names the key', async (t) => {
  const other = createServer()
  await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
  t.after(() => other.close())
  const taken = String((other.address() as { port: number }).port)
  const directory = scratch(t)
  const file = join(directory, 'switchyard.toml')
  writeFileSync(file, toToml(bed.settings()))
  const start = (ports: Record<string, string>) =>
    run(t, ['start', '--config', file, '--data', join(directory, 'data')], ports)
  const clients = await start({ SWITCHYARD_PORT: taken, SWITCHYARD_HTTP_PORT: '0' })
  assert.equal(clients.code, 1)
  assert.match(
    clients.output,
    new RegExp(`^Port ${taken} on 127.0.0.1 is taken by another program; .*listen\\.port.*\\n$`),
  )
  const http = await start({ SWITCHYARD_PORT: '0', SWITCHYARD_HTTP_PORT: taken })
  assert.equal(http.code, 1)
  assert.match(http.output, new RegExp(`^Port ${taken} on 127.0.0.1, for HTTP, is taken .*http\\.port.*\\n$`))
})

test('a wrong configuration ends the start with its sentences and nothing else', async (t) => {
  const file = join(scratch(t), 'switchyard.toml')
  writeFileSync(file, '[listen]\nport = "many"\n')
  const { code, output } = await run(t, ['start', '--config', file])
  assert.equal(code, 1)
  assert.match(output, /listen\.port is "many", but it must be a whole number/)
  assert.doesNotMatch(output, /\n {4}at /)
})

test('version, help and mistakes on the command line', async (t) => {
  const { version } = JSON.parse(readFileSync(join(import.meta.dirname, '../../package.json'), 'utf8'))
  assert.deepEqual(await run(t, ['--version']), { code: 0, output: `${version}\n` })
  assert.deepEqual(await run(t, ['version']), { code: 0, output: `${version}\n` })
  const help = await run(t, ['--help'])
  assert.equal(help.code, 0)
  assert.match(help.output, /start .*check-config/s)
  assert.doesNotMatch(help.output, /plane|control/)
  const unknown = await run(t, ['strat'])
  assert.equal(unknown.code, 1)
  assert.match(unknown.output, /strat/)
})

test('a reader that has seen enough of an answer is no mistake', async (t) => {
  const example = join(import.meta.dirname, '../../config/example.toml')
  const child = spawn(process.execPath, [BIN, 'check-config', example], { stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => child.kill('SIGKILL'))
  child.stdout.destroy()
  let complaint = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    complaint += text
  })
  const [code] = await within(10_000, 'the command to end', once(child, 'close'))
  assert.deepEqual([code, complaint], [0, ''])
})
