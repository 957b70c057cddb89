import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, type WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open()
const ofRouter = { skip: isDirect && 'the PostgreSQL of the tests offers TLS' }

/** Newest protocol version and the names it does not know. */
function negotiation(message: WireMessage | null): { version: number; unknown: string[] } {
  assert.ok(message, 'NegotiateProtocolVersion should have come')
  return { version: message.body.readInt32BE(0), unknown: message.body.toString('utf8', 8).split('\0').filter(Boolean) }
}

test('an SSLRequest is refused with N when TLS is off, and the client goes on in plain text', ofRouter, async () => {
  const client = await bed.dial()
  client.send(wire.SSL_REQUEST)
  assert.equal((await client.raw(1)).toString(), 'N')
  await client.login(bed.login)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('a GSSENCRequest is refused with N, and the client goes on in plain text', async () => {
  const client = await bed.dial()
  client.send(wire.GSSENC_REQUEST)
  assert.equal((await client.raw(1)).toString(), 'N')
  await client.login(bed.login)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

for (const [first, second] of [
  ['SSL', 'GSSENC'],
  ['GSSENC', 'SSL'],
] as const) {
  test(
    `a client that asks for ${first} and then for ${second} is refused both and still gets in`,
    ofRouter,
    async () => {
      const client = await bed.dial()
      for (const asked of [first, second]) {
        client.send(asked === 'SSL' ? wire.SSL_REQUEST : wire.GSSENC_REQUEST)
        assert.equal((await client.raw(1)).toString(), 'N', `answer to ${asked}`)
      }
      await client.login(bed.login)
      assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    },
  )
}

for (const [what, request] of [
  ['SSLRequest', wire.SSL_REQUEST],
  ['GSSENCRequest', wire.GSSENC_REQUEST],
] as const) {
  test(`what comes behind an ${what} without waiting for its answer ends the connection`, ofRouter, async () => {
    const client = await bed.dial()
    client.send(request, wire.startup({ user: bed.role.user, database: bed.database }))
    assert.equal((await client.raw(1)).toString(), 'N')
    const { messages } = await client.untilClosed()
    assert.deepEqual(
      messages.map(({ sqlstate }) => sqlstate),
      ['08P01'],
    )
  })
}

test('a client that asks for TLS a second time is turned away', ofRouter, async () => {
  const client = await bed.dial()
  client.send(wire.SSL_REQUEST)
  assert.equal((await client.raw(1)).toString(), 'N')
  client.send(wire.SSL_REQUEST)
  const { messages } = await client.untilClosed()
  assert.deepEqual(messages.map(String).length, 1, messages.join(' '))
  assert.equal(messages[0]?.fields.S, 'FATAL')
})

test('the startup packet may arrive byte by byte', async () => {
  const client = await bed.dial()
  const packet = wire.startup({ user: bed.role.user, database: bed.database })
  await client.sendCut(
    packet,
    Array.from({ length: packet.length - 1 }, (_, at) => at + 1),
  )
  assert.equal((await client.next()).type, 'R')
})

test('protocol 3.0 gets a cancel key of four bytes and no negotiation', async () => {
  const client = await bed.open({ protocol: wire.PROTOCOL_3_0 })
  assert.equal(client.negotiated, null)
  assert.equal(client.cancelKey.length, 4)
})

test('protocol 3.2 gets a longer cancel key and no negotiation', async () => {
  const client = await bed.open({ protocol: wire.PROTOCOL_3_2 })
  assert.equal(client.negotiated, null)
  assert.ok(client.cancelKey.length > 4 && client.cancelKey.length <= 256, `${client.cancelKey.length} bytes`)
})

test('a minor version that is newer than ours is negotiated down to 3.2 and works', async () => {
  const client = await bed.open({ protocol: 0x00030009 })
  assert.deepEqual(negotiation(client.negotiated), { version: wire.PROTOCOL_3_2, unknown: [] })
  assert.ok(client.cancelKey.length > 4)
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('protocol options that we do not know are named in the negotiation, and the client gets in', async () => {
  const parameters = { '_pq_.compression': 'zstd', '_pq_.future': '1' }
  const client = await bed.open({ parameters })
  const { version, unknown } = negotiation(client.negotiated)
  assert.equal(version, wire.PROTOCOL_3_0)
  assert.deepEqual(unknown.sort(), ['_pq_.compression', '_pq_.future'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

for (const major of [0, 4, 99]) {
  test(`protocol ${major}.0 is refused with 0A000`, async () => {
    const client = await bed.dial()
    client.send(wire.startup({ user: bed.role.user, database: bed.database }, major << 16))
    const { messages } = await client.untilClosed()
    assert.equal(messages.length, 1)
    assert.equal(messages[0]?.fields.S, 'FATAL')
    assert.equal(messages[0]?.sqlstate, '0A000')
  })
}

for (const major of [1, 2]) {
  test(`protocol ${major}.0 is refused with an error, in whatever form`, async () => {
    const client = await bed.dial()
    client.send(wire.startup({ user: bed.role.user, database: bed.database }, major << 16))
    // PostgreSQL answers in protocol 2, whose errors have no length.
    assert.equal((await client.raw(1)).toString(), 'E')
    await waitUntil('the connection to be closed', () => client.ending !== null)
  })
}

test('login tells what drivers read: parameters, a cancel key, and that it is idle', async () => {
  const client = await bed.dial()
  const messages = await client.login(bed.login)
  const last = messages.at(-1)
  assert.equal(last?.body.toString(), 'I')
  for (const name of [
    'server_version',
    'server_encoding',
    'client_encoding',
    'DateStyle',
    'IntervalStyle',
    'TimeZone',
    'integer_datetimes',
    'standard_conforming_strings',
    'is_superuser',
    'session_authorization',
    'application_name',
  ]) {
    assert.ok(client.parameters.has(name), `ParameterStatus ${name} is missing`)
  }
  assert.equal(client.parameters.get('session_authorization'), bed.role.user)
  assert.match(client.parameters.get('server_version') ?? '', /^\d+/)
  assert.notEqual(client.cancelPid, 0)
})
