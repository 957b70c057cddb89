import assert from 'node:assert/strict'
import { stat, writeFile } from 'node:fs/promises'
import { test } from 'node:test'
import { reportContextOf, TestRouter } from '../router-control.fixture.ts'
import { writeClient } from '../router-memory.fixture.ts'
import {
  bind,
  consoleFor,
  errorField,
  execute,
  parse,
  query,
  RawClient,
  startup,
  sync,
  typesOf,
} from './console-peer.fixture.ts'
import { ConsoleServer } from './console-server.ts'

async function waitUntil(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve))
}

test('a login is answered with OK, parameters, a cancel key and readiness', async (t) => {
  const { path } = await consoleFor(t)
  const client = new RawClient(path)
  client.send(startup({ user: 'alice', application_name: 'tool', 'switchyard.console': 'stats' }))
  const messages = await client.until('Z')
  assert.match(typesOf(messages), /^RS+KZ$/)
  const parameters = new Map(
    messages.filter(({ type }) => type === 'S').map(({ body }) => body.toString().split('\0') as [string, string]),
  )
  assert.equal(parameters.get('server_version'), '18.0 (switchyard 1.2.3)')
  assert.equal(parameters.get('client_encoding'), 'UTF8')
  assert.equal(parameters.get('in_hot_standby'), 'off')
  assert.equal(parameters.get('application_name'), 'tool')
  assert.equal(parameters.get('session_authorization'), 'alice')
})

test('encryption is declined and the login goes on', async (t) => {
  const { path } = await consoleFor(t)
  const client = new RawClient(path)
  client.send(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f]))
  assert.equal((await client.bytes(1)).toString(), 'N')
  client.send(Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x30]))
  assert.equal((await client.bytes(1)).toString(), 'N')
  client.send(startup({ user: 'alice', 'switchyard.console': 'admin' }))
  assert.match(typesOf(await client.until('Z')), /^RS+KZ$/)
})

test('a client of protocol 3.2 is asked to come down to 3.0', async (t) => {
  const { path } = await consoleFor(t)
  const client = new RawClient(path)
  client.send(startup({ user: 'alice', 'switchyard.console': 'admin', '_pq_.wish': '1' }, 2))
  const [first] = await client.until('Z')
  assert.equal(first?.type, 'v')
  assert.equal(first?.body.readInt32BE(0), 3 << 16)
  assert.equal(first?.body.toString('utf8', 8), '_pq_.wish\0')
})

test('who is not vouched for by a plane is refused', async (t) => {
  const { path } = await consoleFor(t)
  for (const [parameters, sqlstate] of [
    [{ user: 'mallory' }, '42501'],
    [{ user: 'mallory', 'switchyard.console': 'none' }, '42501'],
    [{ 'switchyard.console': 'admin' }, '28000'],
  ] as const) {
    const client = new RawClient(path)
    client.send(startup(parameters))
    const messages = await client.until('Z')
    assert.equal(errorField(messages, 'C'), sqlstate)
    assert.equal(errorField(messages, 'S'), 'FATAL')
    assert.ok(client.closed)
  }
})

test('a query answers with columns, rows and a tag; several in one string answer one after another', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  assert.equal(typesOf(await client.query('SHOW VERSION')), 'TDCZ')
  assert.equal(typesOf(await client.query('show version; ; Show State;')), 'TDCTDDDDDDDCZ')
  assert.equal(typesOf(await client.query('')), 'IZ')
  assert.equal(typesOf(await client.query(' ; -- nothing')), 'IZ')
})

test('an unknown command fails with 42601, lists the commands, and the connection goes on', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  for (const sql of ['SELECT relname FROM pg_catalog.pg_class', 'FROBNICATE', 'SHOW NONSENSE', '"SHOW" CLIENTS', '7']) {
    const messages = await client.query(sql)
    assert.equal(typesOf(messages), 'EZ', sql)
    assert.equal(errorField(messages, 'C'), '42601', sql)
    assert.match(errorField(messages, 'H') ?? '', /SHOW HELP \| VERSION .*PAUSE; RESUME/, sql)
  }
  assert.equal(typesOf(await client.query('SHOW VERSION; NONSENSE; SHOW STATE')), 'TDCEZ')
  assert.equal(typesOf(await client.query('SHOW VERSION')), 'TDCZ')
})

test('a stats user may look but not touch', async (t) => {
  const console = await consoleFor(t)
  const client = await RawClient.login(console.path, 'stats')
  assert.equal(typesOf(await client.query('SHOW VERSION')), 'TDCZ')
  const messages = await client.query('PAUSE')
  assert.equal(errorField(messages, 'C'), '42501')
  client.send(Buffer.concat([parse('SHUTDOWN'), bind(), execute(), sync()]))
  assert.equal(errorField(await client.until('Z'), 'C'), '42501')
  assert.deepEqual(console.router.calls, [])
})

test('admin commands are audited with who, what and how it ended', async (t) => {
  const console = await consoleFor(t)
  const client = await RawClient.login(console.path)
  assert.equal(typesOf(await client.query('PAUSE app; RECONNECT nowhere')), 'CEZ')
  assert.deepEqual(
    console.audit.map(({ login, command, error }) => [login.user, command, error === null]),
    [
      ['alice', 'PAUSE app', true],
      ['alice', 'RECONNECT nowhere', false],
    ],
  )
})

test('what a command has to tell comes as notices before the tag', async (t) => {
  const console = await consoleFor(t)
  console.router.reloadOutcome = async () => ({ applied: ['pool.size'], needsRestart: ['listen.port'] })
  const client = await RawClient.login(console.path)
  const messages = await client.query('RELOAD')
  assert.equal(typesOf(messages), 'NNCZ')
  assert.match(errorField(messages, 'M', 'N') ?? '', /pool\.size/)
})

test('an exception nobody foresaw fails the command, is handed on, and the session goes on', async (t) => {
  const console = await consoleFor(t)
  const bug = new TypeError('undefined is not a plane')
  console.router.outcome = async () => {
    throw bug
  }
  const client = await RawClient.login(console.path)
  assert.equal(errorField(await client.query('PAUSE'), 'C'), 'XX000')
  assert.deepEqual(console.bugs, [bug])
  assert.equal(typesOf(await client.query('SHOW VERSION')), 'TDCZ')
})

test('answers given before a command that waits do not wait with it', async (t) => {
  const console = await consoleFor(t)
  let finish: () => void = () => undefined
  console.router.outcome = () => new Promise((resolve) => (finish = resolve))
  const client = await RawClient.login(console.path)
  client.send(Buffer.concat([query('SHOW VERSION'), query('PAUSE'), query('SHOW VERSION')]))
  assert.equal(typesOf(await client.until('Z')), 'TDCZ')
  await waitUntil(() => console.router.calls.length === 1)
  finish()
  assert.equal(typesOf(await client.until('Z', 2)), 'CZTDCZ')
})

test('a cancel request with the right key ends a PAUSE that waits, with a wrong one nothing', async (t) => {
  const console = await consoleFor(t)
  console.router.outcome = () => new Promise(() => undefined)
  const client = new RawClient(console.path)
  client.send(startup({ user: 'alice', 'switchyard.console': 'admin' }))
  const key = (await client.until('Z')).find(({ type }) => type === 'K')?.body ?? Buffer.alloc(8)
  client.send(query('PAUSE app'))
  await waitUntil(() => console.router.calls.length === 1)
  for (const [processId, secret] of [
    [key.readInt32BE(0) + 1, key.readInt32BE(4)],
    [key.readInt32BE(0), key.readInt32BE(4) + 1],
    [key.readInt32BE(0), key.readInt32BE(4)],
  ] as const) {
    assert.deepEqual(console.router.calls, ['pause app'])
    const request = Buffer.alloc(16)
    request.writeInt32BE(16, 0)
    request.writeInt32BE(80877102, 4)
    request.writeInt32BE(processId, 8)
    request.writeInt32BE(secret, 12)
    const canceller = new RawClient(console.path)
    canceller.send(request)
    await canceller.until('Z')
    assert.ok(canceller.closed)
  }
  assert.equal(errorField(await client.until('Z'), 'C'), '57014')
  assert.deepEqual(console.router.calls, ['pause app', 'resume app'])
})

test('the socket file is private, a stale one is replaced, and close tells the clients', async (t) => {
  const console = await consoleFor(t)
  assert.equal((await stat(console.path)).mode & 0o777, 0o600)
  const stale = `${console.path}.stale`
  await writeFile(stale, '')
  const server = new ConsoleServer({
    report: reportContextOf(console.router),
    randomBytes: (count) => Buffer.alloc(count),
    audit: () => undefined,
    failed: () => undefined,
  })
  await server.listen(stale)
  const client = await RawClient.login(stale)
  await server.close()
  assert.equal(errorField(await client.until('Z'), 'C'), '57P01')
  assert.ok(client.closed)
})

test('the hundred-and-first connection is refused, and there is room again when one leaves', async (t) => {
  const { path } = await consoleFor(t)
  const clients = await Promise.all(Array.from({ length: 100 }, () => RawClient.login(path)))
  const refused = new RawClient(path)
  assert.equal(errorField(await refused.until('Z'), 'C'), '53300')
  await clients[0]?.close()
  let admitted = false
  while (!admitted) {
    const next = new RawClient(path)
    next.send(startup({ user: 'alice', 'switchyard.console': 'admin' }))
    admitted = (await next.until('Z')).at(-1)?.type === 'Z'
  }
})

test('a client that says nothing is closed, one that has logged in may be silent', async (t) => {
  const { path } = await consoleFor(t, new TestRouter(), { loginTimeoutMs: 50 })
  const quiet = await RawClient.login(path)
  const started = performance.now()
  const mute = new RawClient(path)
  assert.deepEqual(await mute.until('Z'), [])
  assert.ok(mute.closed)
  assert.ok(performance.now() - started >= 49)
  assert.equal(typesOf(await quiet.query('SHOW VERSION')), 'TDCZ')
})

test('transactions are pretended with the right status, also when they fail', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  const statusAfter = async (sql: string): Promise<string | undefined> =>
    (await client.query(sql)).at(-1)?.body.toString()
  assert.equal(await statusAfter('BEGIN'), 'T')
  assert.equal(await statusAfter('SHOW VERSION'), 'T')
  assert.equal(await statusAfter('NONSENSE'), 'E')
  assert.equal(errorField(await client.query('SHOW VERSION'), 'C'), '25P02')
  const [tag] = await client.query('COMMIT')
  assert.equal(tag?.body.toString(), 'ROLLBACK\0')
  assert.equal(await statusAfter('START TRANSACTION READ ONLY'), 'T')
  assert.equal(await statusAfter('ROLLBACK'), 'I')
})

test('a large table reaches a slow reader whole, and nothing is built up for it meanwhile', async (t) => {
  const router = new TestRouter(20_000)
  for (let slot = 0; slot < 20_000; slot++) writeClient(router, slot, 'idle', { applicationName: 'x'.repeat(60) })
  const { path } = await consoleFor(t, router)
  const client = await RawClient.login(path)
  const other = await RawClient.login(path)
  const before = process.memoryUsage().arrayBuffers
  client.socket.pause()
  client.send(query('SHOW CLIENTS'))
  for (let round = 0; round < 100; round++) assert.equal(typesOf(await other.query('SHOW VERSION')), 'TDCZ')
  // The whole answer is 8 MB.
  assert.ok(process.memoryUsage().arrayBuffers - before < 3 * 2 ** 20)
  const received = new Map<string, number>()
  client.socket.resume()
  for (const { type } of await client.until('Z')) received.set(type, (received.get(type) ?? 0) + 1)
  assert.equal(received.get('D'), 20_000)
})
