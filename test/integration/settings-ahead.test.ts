import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, type FakePeer, FakeServer } from '../support/fake-server.ts'
import { Testbed } from '../support/testbed.ts'
import * as wire from '../support/wire-frames.ts'

/** Two of them are reported by the server. */
const SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['TimeZone', 'Asia/Kolkata'],
  ['DateStyle', 'German, DMY'],
  ['work_mem', '9MB'],
  ['statement_timeout', '31s'],
  ['app.tenant', 't1'],
]
const REPORTED = ['TimeZone', 'DateStyle']

/** What came to the server, message by message, since somebody looked last. */
const frames: string[] = []

/** Answers as PostgreSQL would, but for one thing: what puts a session in place is not answered before more has come. */
async function serve(peer: FakePeer): Promise<void> {
  peer.acceptLogin()
  const held: Buffer[] = []
  for (;;) {
    const { type, strings } = await peer.next(60_000)
    if (type === 'X') return peer.close()
    const sql = strings[0] ?? ''
    frames.push(type === 'Q' ? `Q ${sql}` : type)
    if (sql.startsWith('BEGIN')) held.push(answer.complete('COMMIT'), answer.ready())
    else peer.send(...held.splice(0), ...answersTo(type, sql))
  }
}

function answersTo(type: string, sql: string): Buffer[] {
  if (type === 'S') return [answer.ready()]
  if (type === 'P') return [wire.frame('1')]
  if (type === 'B') return [wire.frame('2')]
  if (type === 'E') return [answer.complete('SELECT 0')]
  const [, name, value] = /^SET (\S+) TO '(.*)'$/.exec(sql) ?? []
  const reports = name !== undefined && REPORTED.includes(name) ? [answer.parameterStatus(name, value ?? '')] : []
  return [...reports, answer.complete(name === undefined ? 'SELECT 0' : 'SET'), answer.ready()]
}

let shard: FakeServer | undefined
const bed = await Testbed.open({
  routerOnly: true,
  settings: { pool: { size: 1 } },
  shard: async ({ primary, superuser }) => {
    shard = await FakeServer.start({ probes: { user: superuser.user, server: primary }, serve })
    return shard
  },
})
bed.onEnd(() => shard?.close())

test('a client that differs in five settings from the last one costs one message ahead of its own and no round trip', async () => {
  const [plain, other] = [await bed.open(), await bed.open()]
  for (const [name, value] of SETTINGS) await other.query(`SET ${name} TO '${value}'`)
  await plain.query('SELECT 1')
  frames.length = 0

  await other.query('SELECT 2')
  const [ahead, ...own] = frames.splice(0)
  assert.deepEqual(own, ['Q SELECT 2'])
  for (const [name] of SETTINGS) assert.match(ahead ?? '', new RegExp(name.replace('.', '\\W*\\.\\W*'), 'i'))

  await plain.exchange(Buffer.concat([wire.parse('', 'SELECT 3'), wire.bind('', ''), wire.execute(''), wire.sync()]))
  assert.match(frames[0] ?? '', /^Q BEGIN/)
  assert.deepEqual(frames.splice(0).slice(1), ['P', 'B', 'E', 'S'])

  // The same client again: nothing goes ahead.
  await plain.query('SELECT 4')
  assert.deepEqual(frames.splice(0), ['Q SELECT 4'])
})
