import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ScramClient } from '../support/scram-client.ts'
import { Testbed } from '../support/testbed.ts'
import { type WireClient, WireError } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, type WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open()

interface Attempt {
  readonly messages: WireMessage[]
  readonly salt: string
}

/** A whole login attempt, message by message, whatever comes of it. */
async function attempt(user: string, password: string): Promise<Attempt> {
  const client = await bed.dial()
  client.send(wire.startup({ user, database: bed.database }))
  const scram = new ScramClient({ password })
  const request = await client.next()
  client.send(wire.frame('p', wire.text(scram.mechanism), wire.int32(scram.first.length), scram.first))
  const proceed = await client.next()
  const serverFirst = proceed.body.toString('utf8', 4)
  client.send(wire.frame('p', scram.final(serverFirst)))
  const { messages } = await client.untilClosed()
  return { messages: [request, proceed, ...messages], salt: /s=([^,]*)/.exec(serverFirst)?.[1] ?? '' }
}

/** All that a client can see of a refused attempt, with what must differ (nonce, salt, user name) blotted out. */
function visible({ messages }: Attempt, user: string): string {
  return messages
    .map((message) => `${message.type}${message.body.toString('latin1')}`)
    .join('|')
    .replaceAll(user, 'USER')
    .replace(/r=[^,]+/, (nonce) => `r=${nonce.length} characters`)
    .replace(/s=[^,]+/, (salt) => `s=${salt.length} characters`)
}

test('the right password gets in', async () => {
  const client = await bed.open()
  assert.equal(client.authentication, 10)
  assert.equal(onlyValue(await client.query('SELECT session_user')), bed.role.user)
})

test('a wrong password is refused with 28P01 and the connection is closed', async () => {
  const { messages } = await attempt(bed.role.user, 'wrong')
  assert.equal(messages.at(-1)?.fields.S, 'FATAL')
  assert.equal(messages.at(-1)?.sqlstate, '28P01')
})

test('an unknown user and a wrong password look the same, byte for byte', async () => {
  const unknown = `${bed.role.user}_who`
  assert.equal(
    visible(await attempt(unknown, 'wrong'), unknown),
    visible(await attempt(bed.role.user, 'wrong'), bed.role.user),
  )
})

test('an unknown user has the same salt each time, as a known one has', async () => {
  const [first, second] = [await attempt('nobody_here', 'x'), await attempt('nobody_here', 'y')]
  assert.equal(first.salt, second.salt)
  assert.notEqual(first.salt, (await attempt('nobody_else', 'x')).salt)
})

test('without TLS only SCRAM-SHA-256 is offered, without PLUS', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  const request = await client.next()
  assert.equal(request.body.readInt32BE(0), 10)
  assert.deepEqual(request.body.toString('utf8', 4).split('\0').filter(Boolean), ['SCRAM-SHA-256'])
})

const malformed: readonly (readonly [string, Buffer])[] = [
  ['an unknown mechanism', wire.frame('p', wire.text('SCRAM-SHA-1'), wire.int32(5), 'n,,n=')],
  ['a first message without a nonce', wire.frame('p', wire.text('SCRAM-SHA-256'), wire.int32(5), 'n,,n=')],
  ['a length beyond the message', wire.frame('p', wire.text('SCRAM-SHA-256'), wire.int32(500), 'n,,n=,r=abcdefgh')],
  ['a mechanism that does not end', wire.frame('p', 'SCRAM-SHA-256')],
  ['an empty message', wire.frame('p')],
  ['channel binding that was not offered', wire.frame('p', wire.text('SCRAM-SHA-256-PLUS'), wire.int32(0))],
]

for (const [what, bytes] of malformed) {
  test(`${what} is refused with an error`, async () => {
    const client = await bed.dial()
    client.send(wire.startup({ user: bed.role.user, database: bed.database }))
    assert.equal((await client.next()).type, 'R')
    client.send(bytes)
    const { messages } = await client.untilClosed()
    assert.equal(messages.length, 1, messages.join(' '))
    assert.equal(messages[0]?.fields.S, 'FATAL')
  })
}

test('a proof for another nonce is refused', async () => {
  const client = await bed.dial()
  client.send(wire.startup({ user: bed.role.user, database: bed.database }))
  await client.next()
  const scram = new ScramClient({ password: bed.role.password })
  client.send(wire.frame('p', wire.text(scram.mechanism), wire.int32(scram.first.length), scram.first))
  const serverFirst = (await client.next()).body.toString('utf8', 4)
  client.send(wire.frame('p', scram.final(serverFirst.replace('r=', 'r=0'))))
  const { messages } = await client.untilClosed()
  assert.equal(messages[0]?.fields.S, 'FATAL')
})

test('many clients log in at the same time', async () => {
  const clients = await bed.openMany(30)
  const users = await Promise.all(clients.map(async (client) => onlyValue(await client.query('SELECT session_user'))))
  assert.deepEqual(new Set(users), new Set([bed.role.user]))
})

test('a password with every kind of character works', async () => {
  const role = await bed.cluster.createRole({ password: `ü "quoted" \\ 'single' €\u{1f511} space` })
  await bed.sql(`GRANT CONNECT ON DATABASE ${bed.database} TO ${role.user}`)
  const connect = async (): Promise<WireClient> => await bed.open({ ...role })
  if (bed.isDirect) {
    await connect()
    return
  }
  bed.router.writeSettings(bed.settings({}, [role]))
  await assert.rejects(connect(), (error) => error instanceof WireError && error.sqlstate === '28P01')
  await bed.console.query('RELOAD')
  await connect()
})
