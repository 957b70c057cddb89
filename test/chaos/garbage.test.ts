import assert from 'node:assert/strict'
import { afterEach, test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue } from '../support/wire-message.ts'

const bed = await Testbed.open({ settings: { timeouts: { client_login: '2s' }, pool: { size: 3 } } })

/** xorshift32: the same garbage each time, so that a failure can be repeated. */
function generator(seed: number): () => number {
  let state = seed | 1
  return () => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return state >>> 0
  }
}

function garbage(seed: number, bytes: number): Buffer {
  const next = generator(seed)
  return Buffer.from(Array.from({ length: bytes }, () => next() & 0xff))
}

const planes = isDirect ? [] : bed.router.pids.planes

// Whatever is thrown at it: the same processes are there afterwards, and they serve.
afterEach(async () => {
  const client = await bed.open()
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  client.close()
  if (!isDirect) assert.deepEqual(bed.router.pids.planes, planes, 'a plane was replaced')
})

test('garbage instead of a startup packet', async () => {
  await Promise.all(
    Array.from({ length: 60 }, async (_, seed) => {
      const client = await bed.dial()
      client.send(garbage(seed + 1, 1 + ((seed * 37) % 3_000)))
      if (seed % 3 === 0) client.endWriting()
      else if (seed % 3 === 1) client.reset()
      else client.close()
    }),
  )
})

test('a good startup packet with garbage behind it', async () => {
  await Promise.all(
    Array.from({ length: 40 }, async (_, seed) => {
      const client = await bed.dial()
      client.send(wire.startup({ user: bed.role.user, database: bed.database }), garbage(seed + 100, 200))
      await client.untilClosed()
    }),
  )
})

test('garbage in a session ends that session', async () => {
  const clients = await bed.openMany(30)
  await Promise.all(
    clients.map(async (client, seed) => {
      // An impossible length first, so that it cannot be taken for the beginning of a very long message.
      client.send(Buffer.from([0x51, 0, 0, 0, seed % 4]), garbage(seed + 200, 500))
      await client.untilClosed()
    }),
  )
})

test('well-formed messages with garbage in them are errors, not the end of the router', async () => {
  const clients = await bed.openMany(20)
  await Promise.all(
    clients.map(async (client, seed) => {
      const next = generator(seed + 300)
      for (let n = 0; n < 30 && client.ending === null; n += 1) {
        const type = 'QPBEDCHSFcdf'[next() % 12]!
        client.send(wire.frame(type, garbage(next(), next() % 40)))
      }
      client.send(wire.sync())
      client.endWriting()
      await client.untilClosed()
    }),
  )
})

test('truncated messages: each message cut at each of its first bytes, then the end', async () => {
  const messages = [
    wire.query('SELECT 1'),
    wire.parse('name', 'SELECT $1', [23]),
    wire.bind('portal', 'name', ['1', null]),
    wire.describe('S', 'name'),
    wire.execute('portal', 5),
    wire.close('S', 'name'),
    wire.functionCall(1, ['x']),
    wire.copyFail('no'),
  ]
  for (const message of messages) {
    await Promise.all(
      Array.from({ length: message.length - 1 }, async (_, at) => {
        const client = await bed.open()
        client.send(message.subarray(0, at + 1))
        client.endWriting()
        await client.untilClosed()
      }),
    )
  }
})

test('messages whose inner lengths lie', async () => {
  const lies = [
    // Bind with more parameters than it holds, with a negative count, with a value longer than the message.
    wire.frame('B', wire.text(''), wire.text(''), wire.int16(0), wire.int16(100)),
    wire.frame('B', wire.text(''), wire.text(''), wire.int16(-1)),
    wire.frame('B', wire.text(''), wire.text(''), wire.int16(0), wire.int16(1), wire.int32(1 << 30)),
    // Strings that do not end.
    wire.frame('P', 'no end'),
    wire.frame('Q', 'SELECT 1'),
    wire.frame('D', 'S', 'no end'),
    wire.frame('C', 'X', wire.text('neither statement nor portal')),
    wire.frame('E', wire.text('')),
    // Parse that announces types it does not bring.
    wire.frame('P', wire.text('x'), wire.text('SELECT 1'), wire.int16(1000)),
    wire.frame('F', wire.int32(1)),
    wire.frame('S', 'a Sync with a body'),
    wire.frame('H', 'a Flush with a body'),
  ]
  for (const lie of lies) {
    const client = await bed.open()
    client.send(lie, wire.sync(), wire.query('SELECT 1'))
    client.endWriting()
    const { messages } = await client.untilClosed()
    assert.ok(messages.some((message) => message.type === 'E') || messages.length > 0, JSON.stringify(String(lie)))
  }
})

test('zero bytes and very long names', async () => {
  const client = await bed.open()
  const name = 'n'.repeat(5_000)
  const answer = await client.exchange(
    Buffer.concat([wire.parse(name, 'SELECT 1'), wire.bind(name, name), wire.execute(name), wire.sync()]),
  )
  assert.equal(answer.at(-1)?.type, 'Z')
  client.send(wire.frame('Q', Buffer.from('SELECT 1\0; SELECT 2\0')), wire.sync())
  client.endWriting()
  await client.untilClosed()
})
