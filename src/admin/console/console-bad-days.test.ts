import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  bind,
  consoleFor,
  errorField,
  execute,
  parse,
  query,
  RawClient,
  rowsOfMessages,
  startup,
  sync,
  type TestConsole,
  typesOf,
} from './console-peer.fixture.ts'

/** The console still serves others, and nothing in it went wrong. */
async function assertWell(console: TestConsole): Promise<void> {
  const client = await RawClient.login(console.path)
  assert.equal(typesOf(await client.query('SHOW VERSION')), 'TDCZ')
  await client.close()
  assert.deepEqual(console.bugs, [])
}

test('a whole session fed one byte at a time is answered as if it came at once', async (t) => {
  const { path } = await consoleFor(t)
  const client = new RawClient(path)
  client.socket.setNoDelay(true)
  const session = Buffer.concat([
    startup({ user: 'alice', 'switchyard.console': 'admin' }),
    query('SHOW VERSION'),
    parse('SHOW VERSION'),
    bind(),
    execute(),
    sync(),
  ])
  for (const byte of session) {
    client.send(Buffer.of(byte))
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.match(typesOf(await client.until('Z', 3)), /^RS+KZTDCZ12DCZ$/)
})

test('a thousand pipelined queries are answered in order, and others have their turn meanwhile', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  let turns = 0
  const count = (): void => {
    turns++
    turning = setImmediate(count)
  }
  let turning = setImmediate(count)
  client.send(Buffer.concat(Array.from({ length: 1000 }, (_, n) => query(`SELECT ${n}`))))
  const answers = rowsOfMessages(await client.until('Z', 1000)).map(([value]) => Number(value?.toString()))
  assert.deepEqual(
    answers,
    Array.from({ length: 1000 }, (_, n) => n),
  )
  clearImmediate(turning)
  assert.ok(turns >= 1000)
})

test('a message longer than 64 KB is refused at its header, before it is there', async (t) => {
  const console = await consoleFor(t)
  for (const length of [65_537, 2 ** 31, 2 ** 32 - 1, 0, 3]) {
    const client = await RawClient.login(console.path)
    const header = Buffer.alloc(5, 'Q')
    header.writeUInt32BE(length, 1)
    client.send(header)
    const messages = await client.until('Z')
    assert.deepEqual([errorField(messages, 'S'), errorField(messages, 'C')], ['FATAL', '08P01'])
    assert.ok(client.closed)
  }
  await assertWell(console)
})

test('a message of 64 KB is taken', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  const sql = `SHOW VERSION --${'x'.repeat(65_536 - 4 - 1 - 15)}`
  assert.equal(query(sql).length, 65_537)
  assert.equal(typesOf(await client.query(sql)), 'TDCZ')
})

test('a message of no known type ends the connection with 08P01', async (t) => {
  const console = await consoleFor(t)
  const client = await RawClient.login(console.path)
  client.send(Buffer.from('z\0\0\0\x04', 'latin1'))
  const messages = await client.until('Z')
  assert.deepEqual([errorField(messages, 'S'), errorField(messages, 'C')], ['FATAL', '08P01'])
  await assertWell(console)
})

test('greetings of other protocols and broken startup packets are turned away', async (t) => {
  const console = await consoleFor(t)
  const packets = [
    Buffer.from('GET / HTTP/1.1\r\n\r\n'),
    Buffer.from('\x16\x03\x01\x02\0\x01', 'latin1'),
    Buffer.from([0, 0, 0, 8, 0, 2, 0, 0]),
    Buffer.from([0, 0, 0, 9, 0, 3, 0, 0, 0x41]),
    Buffer.from([0, 0, 0, 4]),
    Buffer.from([0xff, 0xff, 0xff, 0xff]),
    startup(Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`p${n}`, 'x']))),
  ]
  for (const packet of packets) {
    const client = new RawClient(console.path)
    client.send(packet)
    await client.until('Z')
    assert.ok(client.closed)
  }
  await assertWell(console)
})

test('garbage after login never reaches beyond its own connection', async (t) => {
  const console = await consoleFor(t)
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...'QPBDECHSFdcfp'), fc.uint8Array({ maxLength: 40 })), { maxLength: 12 }),
      async (frames) => {
        const client = await RawClient.login(console.path, 'stats')
        for (const [type, body] of frames) {
          const header = Buffer.alloc(5, type)
          header.writeUInt32BE(4 + body.length, 1)
          client.send(Buffer.concat([header, body]))
        }
        client.send(Buffer.from('X\0\0\0\x04', 'latin1'))
        while (!client.closed) await client.until('Z')
      },
    ),
    { numRuns: 150 },
  )
  const noise = await RawClient.login(console.path)
  noise.send(randomBytes(100_000))
  while (!noise.closed) await noise.until('Z')
  await assertWell(console)
})

test('clients that vanish at any moment leave nothing behind', async (t) => {
  const console = await consoleFor(t)
  const session = Buffer.concat([
    startup({ user: 'alice', 'switchyard.console': 'admin' }),
    query('SHOW CLIENTS'),
    parse('SHOW POOLS'),
  ])
  for (let cut = 0; cut <= session.length; cut += 3) {
    const client = new RawClient(console.path)
    client.send(session.subarray(0, cut))
    await new Promise((resolve) => setImmediate(resolve))
    await client.close()
  }
  await assertWell(console)
})

test('a client that sends its last query and closes its half still gets the answer', async (t) => {
  const { path } = await consoleFor(t)
  const client = await RawClient.login(path)
  client.socket.end(query('SHOW VERSION'))
  assert.equal(typesOf(await client.until('Z')), 'TDCZ')
})

test('a client that leaves while its command waits does not disturb the command', async (t) => {
  const console = await consoleFor(t)
  let finish: () => void = () => undefined
  console.router.outcome = () => new Promise((resolve) => (finish = resolve))
  const client = await RawClient.login(console.path)
  client.send(query('PAUSE'))
  while (console.router.calls.length === 0) await new Promise((resolve) => setImmediate(resolve))
  await client.close()
  finish()
  while (console.audit.length === 0) await new Promise((resolve) => setImmediate(resolve))
  assert.equal(console.audit[0]?.error, null)
  await assertWell(console)
})
