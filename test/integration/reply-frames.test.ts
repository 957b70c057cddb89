import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, FakeServer } from '../support/fake-server.ts'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'

/** What the shard answers to the next query, and where it is cut into segments. */
let reply = Buffer.alloc(0)
let cuts: readonly number[] = []
let shard: FakeServer | undefined

const bed = await Testbed.open({
  routerOnly: true,
  shard: async ({ primary, superuser }) => {
    shard = await FakeServer.start({
      probes: { user: superuser.user, server: primary },
      serve: async (peer) => {
        peer.acceptLogin()
        await peer.answerQueries(async () => {
          await peer.sendCut(reply, cuts)
          return null
        })
      },
    })
    return shard
  },
})
bed.onEnd(() => shard?.close())

const notice = wire.frame(
  'N',
  wire.text('SNOTICE'),
  wire.text('VNOTICE'),
  wire.text('C00000'),
  wire.text('Mhello'),
  '\0',
)
const everything = Buffer.concat([
  answer.rowDescription('x'),
  answer.dataRow('one'),
  notice,
  answer.dataRow(''),
  answer.parameterStatus('TimeZone', 'UTC'),
  answer.dataRow('x'.repeat(40)),
  answer.complete('SELECT 3'),
  answer.error('22012', 'division by zero'),
  answer.ready(),
])

/** What arrives at a client as bytes, without the parameters that the router may report in its own way. */
async function received(): Promise<string> {
  const client = await bed.open()
  const messages = await client.query('SELECT anything')
  client.close()
  return messages
    .filter((message) => message.type !== 'S')
    .map((message) => `${message.type}${message.body.toString('latin1')}`)
    .join('|')
}

test('an answer that arrives in two segments, cut at any byte, is the same answer', async () => {
  reply = everything
  cuts = []
  const whole = await received()
  assert.match(whole, /division by zero/)
  for (let cut = 1; cut < everything.length; cut += 1) {
    cuts = [cut]
    assert.equal(await received(), whole, `cut at ${cut}`)
  }
})

test('an answer that arrives byte by byte is the same answer', async () => {
  reply = everything
  cuts = []
  const whole = await received()
  cuts = Array.from({ length: everything.length - 1 }, (_, at) => at + 1)
  assert.equal(await received(), whole)
})

test('a row longer than every buffer, cut in its header and its body, arrives whole', async () => {
  const row = answer.dataRow('r'.repeat(700_000))
  reply = Buffer.concat([answer.rowDescription('x'), row, answer.complete('SELECT 1'), answer.ready()])
  for (const cut of [28, 29, 30, 31, 32, 40, 65_536, 131_072, reply.length - 7, reply.length - 3]) {
    cuts = [cut]
    const client = await bed.open()
    const messages = await client.query('SELECT long')
    assert.equal(messages[1]?.bodyBytes, row.length - 5, `cut at ${cut}`)
    assert.equal(messages.at(-1)?.type, 'Z')
    client.close()
  }
})

test('what follows ReadyForQuery in the same segment is not given to the client as a part of its answer', async () => {
  reply = Buffer.concat([answer.complete('SELECT 0'), answer.ready(), notice])
  cuts = []
  const client = await bed.open()
  const messages = await client.query('SELECT then')
  assert.equal(messages.at(-1)?.type, 'Z')
  assert.ok(await client.staysSilent(50))
})
