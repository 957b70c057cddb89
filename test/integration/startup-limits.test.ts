import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, type WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open({ settings: { timeouts: { client_login: '1s' }, limits: { startup_parameters: 20 } } })
const ofRouter = { skip: isDirect && 'a limit of the router' }

/** Closed, with one FATAL error at most. */
async function turnedAway(client: WireClient): Promise<WireMessage | undefined> {
  const { messages } = await client.untilClosed()
  assert.ok(messages.length <= 1, messages.join(' '))
  if (messages[0] !== undefined) assert.equal(messages[0].fields.S, 'FATAL')
  return messages[0]
}

/** A startup packet with any body after the version. */
function rawStartup(body: string): Buffer {
  return wire.packet(wire.int32(wire.PROTOCOL_3_0), Buffer.from(body))
}

const broken: readonly (readonly [string, Buffer])[] = [
  ['a length of zero', Buffer.concat([wire.int32(0), wire.int32(wire.PROTOCOL_3_0)])],
  ['a length that covers nothing', Buffer.concat([wire.int32(4), wire.int32(wire.PROTOCOL_3_0)])],
  ['a length below that of a version', Buffer.concat([wire.int32(7), Buffer.from('abc')])],
  ['a negative length', Buffer.concat([wire.int32(-1), wire.int32(wire.PROTOCOL_3_0)])],
  ['a length of a gigabyte', Buffer.concat([wire.int32(1 << 30), wire.int32(wire.PROTOCOL_3_0)])],
  ['an HTTP request', Buffer.from('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n')],
  ['an SSH greeting', Buffer.from('SSH-2.0-OpenSSH_9.6\r\n')],
  ['a typed message instead of a startup packet', wire.query('SELECT 1')],
  ['ten thousand bytes of 0xff', Buffer.alloc(10_000, 0xff)],
]

for (const [what, bytes] of broken) {
  test(`${what} ends the connection`, async () => {
    const client = await bed.dial()
    client.send(bytes)
    await turnedAway(client)
  })
}

test('a startup packet over the limit is refused before it is read', ofRouter, async () => {
  const client = await bed.dial()
  client.send(wire.int32(20_000), wire.int32(wire.PROTOCOL_3_0))
  await turnedAway(client)
})

test('a startup packet that is cut off by the end of the connection is let go', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }).subarray(0, 20))
  client.endWriting()
  await turnedAway(client)
})

test('a client that says nothing is closed after the login timeout', ofRouter, async () => {
  const client = await bed.dial()
  const started = performance.now()
  await turnedAway(client)
  assert.ok(performance.now() - started >= 900, 'closed too early')
})

test(
  'a client that stops in the middle of its startup packet is closed after the login timeout',
  ofRouter,
  async () => {
    const client = await bed.dial()
    client.send(wire.startup({ user: bed.role.user, database: bed.database }).subarray(0, 11))
    await turnedAway(client)
  },
)

test('a client that does not answer the password request is closed after the login timeout', ofRouter, async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  assert.equal((await client.next()).type, 'R')
  await turnedAway(client)
})

test('the login timeout does not touch a client that is logged in', ofRouter, async () => {
  const client = await bed.open()
  assert.ok(await client.staysSilent(1_500))
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a startup packet without its last zero byte is refused with 08P01', async () => {
  const client = await bed.dial()
  client.send(rawStartup(`user\0${bed.role.user}\0database\0${bed.database}\0`))
  assert.equal((await turnedAway(client))?.sqlstate, '08P01')
})

test('a parameter without a value is refused', async () => {
  const client = await bed.dial()
  client.send(rawStartup(`user\0${bed.role.user}\0database\0`))
  assert.ok((await turnedAway(client))?.sqlstate)
})

test('bytes after the last parameter are refused with 08P01', async () => {
  const client = await bed.dial()
  client.send(rawStartup(`user\0${bed.role.user}\0\0database\0${bed.database}\0\0`))
  assert.equal((await turnedAway(client))?.sqlstate, '08P01')
})

test('a startup packet without a user is refused with 28000', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ database: bed.database }))
  assert.equal((await turnedAway(client))?.sqlstate, '28000')
})

test('the last of duplicate parameters counts', async () => {
  const { user } = bed.role
  const client = await bed.dial()
  client.send(
    rawStartup(`user\0nobody\0user\0${user}\0database\0${bed.database}\0application_name\0a\0application_name\0b\0\0`),
  )
  const request = await client.next()
  assert.equal(request.type, 'R')
  client.close()
})

test('more startup parameters than allowed are refused', ofRouter, async () => {
  const client = await bed.dial()
  const many = Object.fromEntries(Array.from({ length: 30 }, (_, n) => [`my.parameter_${n}`, 'x']))
  client.send(wire.startup({ user: bed.role.user, database: bed.database, ...many }))
  assert.ok((await turnedAway(client))?.sqlstate)
})

test('without a database name the one of the user is meant', async () => {
  await bed.cluster.sql(`CREATE DATABASE ${bed.role.user} OWNER ${bed.role.user}`)
  try {
    const client = await bed.open({ database: '' })
    assert.equal(onlyValue(await client.query('SELECT current_database()')), bed.role.user)
    await client.goodbye()
  } finally {
    await bed.cluster.sql(`DROP DATABASE ${bed.role.user} WITH (FORCE)`)
  }
})

test('messages in the place of a password end the login', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  assert.equal((await client.next()).type, 'R')
  client.send(wire.query('SELECT 1'))
  assert.equal((await turnedAway(client))?.fields.S, 'FATAL')
})

test('a password message of a gigabyte is refused before it is read', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  assert.equal((await client.next()).type, 'R')
  client.send(Buffer.from('p'), wire.int32(1 << 30), Buffer.alloc(1000))
  await turnedAway(client)
})
