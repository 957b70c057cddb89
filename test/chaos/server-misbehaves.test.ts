import assert from 'node:assert/strict'
import { test } from 'node:test'
import { answer, type FakePeer, FakeServer } from '../support/fake-server.ts'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, shapeOf, sqlstatesOf } from '../support/wire-message.ts'
import { WireClosed } from '../support/wire-stream.ts'

/** What the shard does with each connection of the router; each test says it anew. */
let serve: (peer: FakePeer) => Promise<void> = async (peer) => peer.close()
let shard: FakeServer | undefined

const bed = await Testbed.open({
  routerOnly: true,
  shard: async ({ primary, superuser }) => {
    const probes = { user: superuser.user, server: primary }
    shard = await FakeServer.start({ probes, serve: (peer) => serve(peer) })
    return shard
  },
  settings: {
    pool: { size: 2 },
    timeouts: { query_wait: '1s', server_connect: '500ms', server_login_retry: '50ms', drain: '1s' },
  },
})
bed.onEnd(() => shard?.close())

/** A server that lets everybody in and answers each simple query by `reply`. */
function answering(reply: (sql: string, peer: FakePeer) => string | null): (peer: FakePeer) => Promise<void> {
  return async (peer) => {
    peer.acceptLogin()
    await peer.answerQueries(reply)
  }
}

const healthy = answering(() => 'well')

/** Everything up to ReadyForQuery, or the end of the connection. */
async function outcome(sql: string): Promise<{ shape: string; sqlstates: string[]; ended: boolean }> {
  const client = await bed.open()
  client.send(wire.query(sql))
  const messages = []
  for (;;) {
    try {
      messages.push(await client.next())
    } catch (error) {
      if (!(error instanceof WireClosed)) throw error
      return { shape: shapeOf(messages), sqlstates: sqlstatesOf(messages), ended: true }
    }
    if (messages.at(-1)?.type === 'Z')
      return { shape: shapeOf(messages), sqlstates: sqlstatesOf(messages), ended: false }
  }
}

/** From now on the shard behaves like this; server connections made before are gone. */
async function behave(next: (peer: FakePeer) => Promise<void>): Promise<void> {
  const old = new Set((await bed.servers()).map((server) => server.id))
  serve = next
  for (const peer of shard?.peers.splice(0) ?? []) peer.close()
  await waitUntil('the old server connections to be gone', async () => {
    const left = (await bed.servers()).filter((server) => old.has(server.id))
    // One that was still on its way when the others were closed.
    for (const peer of shard?.peers.splice(0) ?? []) peer.close()
    if (left.length > 0) throw new Error(JSON.stringify(left))
    return true
  })
}

serve = healthy

test('a server that answers is relayed as it is', async () => {
  await behave(healthy)
  const client = await bed.open()
  assert.equal(onlyValue(await client.query('SELECT anything')), 'well')
})

const duringLogin: readonly (readonly [string, (peer: FakePeer) => Promise<void>])[] = [
  ['closes instead of an answer', async (peer) => peer.close()],
  ['resets instead of an answer', async (peer) => peer.reset()],
  ['never answers', () => new Promise(() => {})],
  ['answers with garbage', async (peer) => peer.send(Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'))],
  ['is starting up', async (peer) => peer.send(answer.error('57P03', 'the database system is starting up', 'FATAL'))],
  [
    'has too many clients',
    async (peer) => peer.send(answer.error('53300', 'sorry, too many clients already', 'FATAL')),
  ],
  ['asks for a method nobody knows', async (peer) => peer.send(wire.frame('R', wire.int32(99)))],
  ['asks for Kerberos', async (peer) => peer.send(wire.frame('R', wire.int32(7)))],
  ['stops in the middle of the login', async (peer) => peer.send(answer.authenticationOk())],
  ['claims a message of two gigabytes', async (peer) => peer.send(Buffer.from('R'), wire.int32(0x7fffffff))],
  ['claims a message of negative length', async (peer) => peer.send(Buffer.from('R'), wire.int32(-5))],
]

for (const [what, behaviour] of duringLogin) {
  test(`a server that ${what} at login: the client is told in time and stays, and the next server is fine`, async () => {
    await behave(healthy)
    const client = await bed.open()
    await behave(behaviour)
    const told = await client.query('SELECT 1', 8_000)
    assert.equal(sqlstatesOf(told).length, 1, told.join(' '))
    assert.equal(told.at(-1)?.type, 'Z')
    await behave(healthy)
    await waitUntil('the server to be used again', async () => sqlstatesOf(await client.query('SELECT 1')).length === 0)
  })
}

const row = Buffer.concat([answer.rowDescription('value'), answer.dataRow('well')])

/** The last that a server says: a whole row, and its end `atOnce` or a moment later. */
function lastRow({ socket }: FakePeer, atOnce: boolean): null {
  if (atOnce) socket.end(row)
  else socket.write(row, () => setTimeout(() => socket.end(), 50))
  return null
}

for (const atOnce of [true, false]) {
  const behind = `right behind a whole row, ${atOnce ? 'at once' : 'a moment later'}`
  test(`a server that dies ${behind}, again and again: the client has the row once, gets an error and stays`, async () => {
    await behave(answering((sql, peer) => (sql === 'SELECT dies' ? lastRow(peer, atOnce) : 'well')))
    assert.deepEqual(await outcome('SELECT dies'), { shape: 'TDEZ', sqlstates: ['08006'], ended: false })
  })

  test(`a server that dies ${behind}: another one goes on behind it, and nothing is missing or twice`, async () => {
    let deaths = 0
    await behave(answering((sql, peer) => (sql === 'SELECT dies' && deaths++ === 0 ? lastRow(peer, atOnce) : 'well')))
    assert.deepEqual(await outcome('SELECT dies'), { shape: 'TDCZ', sqlstates: [], ended: false })
    assert.equal(deaths, 2)
  })
}

test('a server that dies instead of an answer, again and again: the client gets nothing but the error', async () => {
  await behave(
    answering((sql, peer) => {
      if (sql === 'SELECT dies') peer.socket.end()
      return sql === 'SELECT dies' ? null : 'well'
    }),
  )
  assert.deepEqual(await outcome('SELECT dies'), { shape: 'EZ', sqlstates: ['08006'], ended: false })
})

test("a server that dies behind the first row of all: that of a question of our own is not the client's", async () => {
  const asked: string[] = []
  await behave(
    answering((sql, peer) => {
      asked.push(sql)
      return lastRow(peer, true)
    }),
  )
  const { shape } = await outcome('SELECT dies')
  // What goes ahead of a statement depends on the tier.
  assert.equal(shape, asked[0] === 'SELECT dies' ? 'TDEZ' : 'EZ')
})

test('a server that dies in the middle of a row: the client never sees a whole result', async () => {
  await behave(
    answering((_, peer) => {
      peer.socket.end(
        Buffer.concat([answer.rowDescription('x'), answer.dataRow('a'.repeat(50_000)).subarray(0, 30_000)]),
      )
      return null
    }),
  )
  const { shape, ended } = await outcome('SELECT dies')
  // The row was begun and cannot be taken back: the connection has to end.
  if (!ended) assert.ok(shape.includes('E') && !shape.includes('C'), shape)
})

test('a server that sends garbage in the middle of an answer is dropped, the client is told', async () => {
  await behave(
    answering((_, peer) => {
      peer.send(answer.rowDescription('x'), Buffer.from('!\0\0\0\0garbage'))
      return null
    }),
  )
  const { sqlstates, ended } = await outcome('SELECT garbage')
  assert.ok(ended || sqlstates.length === 1)
  await waitUntil('the server connection to be dropped', async () => (await bed.servers()).length === 0)
})

test('a server that closes its direction while nobody uses it is dropped, and no client notices', async () => {
  await behave(healthy)
  const client = await bed.open()
  await client.query('SELECT 1')
  shard!.peers[0]!.endWriting()
  await waitUntil('the server connection to be dropped', async () => (await bed.servers()).length === 0)
  assert.equal(onlyValue(await client.query('SELECT 2')), 'well')
})

test('a server that closes its direction in the middle of an answer: the client is told, and the connection dropped', async () => {
  await behave(
    answering((sql, peer) => {
      if (sql !== 'SELECT half') return 'well'
      peer.send(answer.rowDescription('value'), answer.dataRow('half'))
      peer.endWriting()
      return null
    }),
  )
  assert.deepEqual(await outcome('SELECT half'), { shape: 'TDEZ', sqlstates: ['08006'], ended: false })
  await waitUntil('the server connection to be dropped', async () => (await bed.servers()).length === 0)
})

test('the goodbye of a server that nobody uses (57P01) reaches no client', async () => {
  await behave(healthy)
  const client = await bed.open()
  await client.query('SELECT 1')
  shard!.peers[0]!.socket.end(answer.error('57P01', 'terminating connection due to administrator command', 'FATAL'))
  await waitUntil('the server connection to be dropped', async () => (await bed.servers()).length === 0)
  assert.ok(await client.staysSilent(50))
  assert.equal(onlyValue(await client.query('SELECT 2')), 'well')
})

test('notices and parameters that come while nobody uses the server reach no client, and it stays usable', async () => {
  await behave(healthy)
  const client = await bed.open()
  await client.query('SELECT 1')
  shard!.peers[0]!.send(
    wire.frame('N', wire.text('SNOTICE'), wire.text('C00000'), wire.text('Mhello'), '\0'),
    answer.parameterStatus('TimeZone', 'Asia/Tokyo'),
  )
  assert.ok(await client.staysSilent(100))
  const next = await client.query('SELECT 2')
  assert.equal(onlyValue(next), 'well')
})

test('an answer that nobody asked for ends the server connection and is not taken for the next answer', async () => {
  await behave(healthy)
  const client = await bed.open()
  await client.query('SELECT 1')
  shard!.peers[0]!.send(
    answer.rowDescription('x'),
    answer.dataRow('stale'),
    answer.complete('SELECT 1'),
    answer.ready(),
  )
  await new Promise((resolve) => setTimeout(resolve, 50))
  assert.equal(onlyValue(await client.query('SELECT 2')), 'well')
})

test('two answers to one query: the second is never given to the next client', async () => {
  await behave(
    answering((sql, peer) => {
      if (!sql.includes('double')) return 'right'
      const one = [answer.rowDescription('x'), answer.dataRow('first'), answer.complete('SELECT 1'), answer.ready()]
      peer.send(
        ...one,
        answer.rowDescription('x'),
        answer.dataRow('second'),
        answer.complete('SELECT 1'),
        answer.ready(),
      )
      return null
    }),
  )
  const [one, other] = await bed.openMany(2)
  assert.equal(onlyValue(await one!.query('SELECT double')), 'first')
  assert.equal(onlyValue(await other!.query('SELECT 1')), 'right')
  assert.equal(onlyValue(await one!.query('SELECT 1')), 'right')
})

test('a server in a transaction that nobody opened is not given to the next client', async () => {
  await behave(
    answering((sql, peer) => {
      if (!sql.includes('sticky')) return 'clean'
      peer.send(answer.complete('BEGIN'), answer.ready('T'))
      return null
    }),
  )
  const holder = await bed.open()
  await holder.query('SELECT sticky')
  holder.close()
  const other = await bed.open()
  assert.equal(onlyValue(await other.query('SELECT 1')), 'clean')
})

test('a flood of rows to a client that has left stops at the router', async () => {
  let sent = 0
  await behave(
    answering((sql, peer) => {
      if (!sql.includes('flood')) return 'well'
      const row = answer.dataRow('x'.repeat(60_000))
      peer.send(answer.rowDescription('x'))
      const pump = (): void => {
        while (peer.ending === null && peer.socket.writable) {
          sent += row.length
          if (!peer.socket.write(row)) return void peer.socket.once('drain', pump)
        }
      }
      pump()
      return null
    }),
  )
  const client = await bed.open()
  client.send(wire.query('SELECT flood'))
  await client.until('T')
  client.reset()
  await waitUntil('the server connection to be dropped', async () => (await bed.servers()).length === 0)
  assert.ok(sent < 200 << 20, `${sent >> 20} MB were taken for nobody`)
})
