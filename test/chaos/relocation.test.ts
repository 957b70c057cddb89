import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { killPlane } from '../support/plane-killer.ts'
import { waitUntil } from '../support/wait-until.ts'
import { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

const bed = await ContinuityBed.open({
  operations: { drain: '3s' },
  routing: { rebalance: 50, slow_start: '0s' },
  databases: {
    readers: { name: 'postgres', role: 'replica' },
    own: { name: 'postgres', pool_mode: 'session' },
    '*': {},
  },
})

async function checked(client: WireClient, sql: string): Promise<string | null> {
  const answer = await client.query(sql)
  assert.deepEqual(sqlstatesOf(answer), [], sql)
  return answer.some(({ type }) => type === 'D') ? onlyValue(answer) : null
}

async function restart(): Promise<void> {
  await bed.command(`RESTART ${await bed.primary()}`)
}

async function lastWords(client: WireClient): Promise<string> {
  const { messages } = await client.untilClosed()
  return String(messages.at(-1)?.fields.M)
}

/** Why a client that told its name keeps its server connection. */
async function pinsOf(name: string): Promise<string> {
  const { rows } = await bed.console.query('SHOW CLIENTS')
  const row = rows.find((each) => each.application_name === name)
  return row === undefined ? 'not there' : String(row.pinned ?? '')
}

test('statements prepared in SQL, settings and role move with their session, again and again', async () => {
  const client = await bed.open({ application_name: 'mover' })
  await checked(client, `SET search_path = pg_catalog; SET app.tenant = 'Zoë'; SET work_mem = '7MB'`)
  await checked(client, 'PREPARE "Own one" (int, text) AS SELECT $1 || $2 || current_setting(\'app.tenant\');')
  await checked(client, 'PREPARE two AS SELECT pg_backend_pid()')
  const before = await checked(client, 'EXECUTE two')
  for (let round = 0; round < 2; round++) {
    await restart()
    assert.equal(await checked(client, `EXECUTE "Own one"(7, '!')`), '7!Zoë')
    assert.equal(
      await checked(client, `SELECT current_setting('work_mem') || current_setting('search_path')`),
      '7MBpg_catalog',
    )
  }
  assert.notEqual(await checked(client, 'EXECUTE two'), before)
  assert.equal(await pinsOf('mover'), 'sqlPrepare')
  const [event] = (await bed.console.query('SHOW PRESERVATION')).rows
  assert.deepEqual([event.event, Number(event.relocated), Number(event.dropped)], ['restart', 1, 0])
  const outcomes = (await bed.console.query('SHOW PRESERVED_CLIENTS')).rows.filter(
    (row) => row.event_id === event.event_id,
  )
  assert.deepEqual(
    outcomes.filter(({ application_name }) => application_name === 'mover').map(({ outcome }) => outcome),
    ['relocated'],
  )
  client.close()
})

test('SWITCHOVER moves them to the new primary', async () => {
  const client = await bed.open()
  await checked(client, 'PREPARE where_am_i AS SELECT inet_server_port()')
  const before = await checked(client, 'EXECUTE where_am_i')
  await bed.command('SWITCHOVER main')
  assert.notEqual(await checked(client, 'EXECUTE where_am_i'), before)
  client.close()
})

test('DRAIN moves sessions of a database that is for replicas only to another replica', async () => {
  const client = await WireClient.open(bed.router, { ...bed.login, database: 'readers' })
  await checked(client, 'PREPARE where_am_i AS SELECT inet_server_port()')
  const port = Number(await checked(client, 'EXECUTE where_am_i'))
  const replica = bed.shards.find((shard) => shard.port === port)!.name
  await bed.command(`DRAIN ${replica}`)
  assert.notEqual(Number(await checked(client, 'EXECUTE where_am_i')), port)
  await bed.command(`UNDRAIN ${replica}`)
  client.close()
})

test('a replica that joins gets its share of pinned sessions, which have all that they had; who cannot move stays', async () => {
  const replicas = (await bed.shown()).filter(({ role }) => role === 'replica').map(({ name }) => name)
  const portOf = (name: string): string => String(bed.shards.find((shard) => shard.name === name)!.port)
  await bed.command(`DRAIN ${replicas[1]}`)
  const clients = await Promise.all(
    Array.from({ length: 8 }, (_, number) =>
      WireClient.open(bed.router, {
        ...bed.login,
        database: 'readers',
        parameters: { application_name: `r${number}` },
      }),
    ),
  )
  for (const [number, client] of clients.entries()) {
    await checked(
      client,
      number === 0 ? 'SELECT pg_advisory_lock(7)' : `PREPARE who AS SELECT '${number}', inet_server_port()`,
    )
  }
  const [locking, busy] = clients as [WireClient, WireClient]
  await checked(busy, 'BEGIN')
  await bed.command(`UNDRAIN ${replicas[1]}`)
  await waitUntil('half of them to have left', async () => {
    const { rows } = await bed.console.query('SHOW CLIENTS')
    return rows.filter(({ application_name: name, link }) => /^r\d$/.test(name) && link === '').length === 4
  })
  const ports: (string | null)[] = []
  for (const [number, client] of clients.entries()) {
    const sql = number === 0 ? `SELECT '0', inet_server_port()` : 'EXECUTE who'
    const [row] = rowsOf(await client.query(sql))
    assert.equal(row?.[0], String(number))
    ports.push(row?.[1] ?? null)
  }
  assert.deepEqual([ports[0], ports[1]], [portOf(replicas[0]!), portOf(replicas[0]!)])
  assert.equal(ports.filter((port) => port === portOf(replicas[1]!)).length, 4, ports.join())
  assert.equal(await checked(locking, 'SELECT pg_advisory_unlock(7)'), 't')
  for (const client of clients) client.close()
})

test('a session that took numbers from a sequence moves, and currval is undefined rather than another one’s', async () => {
  const [client, other] = [await bed.open(), await bed.open()]
  await checked(other, 'CREATE SEQUENCE numbers')
  assert.equal(await checked(client, `SELECT nextval('numbers')`), '1')
  await restart()
  assert.equal(await checked(other, `SELECT nextval('numbers') > 1`), 't')
  assert.deepEqual(sqlstatesOf(await client.query(`SELECT currval('numbers')`)), ['55000'])
  assert.deepEqual(sqlstatesOf(await client.query('SELECT lastval()')), ['55000'])
  assert.equal(await checked(client, `SELECT nextval('numbers') = currval('numbers')`), 't')
  client.close()
  other.close()
})

test('sessions in session mode move, with what they have, and stay on one server connection', async () => {
  const client = await WireClient.open(bed.router, {
    ...bed.login,
    database: 'own',
    parameters: { application_name: 'mover' },
  })
  await checked(client, `SET work_mem = '9MB'`)
  await checked(client, 'PREPARE mine AS SELECT 42')
  client.send(wire.parse('named', 'SELECT 43'), wire.sync())
  await client.until('Z')
  await restart()
  assert.equal(await checked(client, 'EXECUTE mine'), '42')
  const answer = await client.exchange(Buffer.concat([wire.bind('', 'named'), wire.execute(''), wire.sync()]))
  assert.equal(onlyValue(answer), '43')
  assert.equal(await checked(client, 'SHOW work_mem'), '9MB')
  assert.equal(await pinsOf('mover'), 'sessionMode,sqlPrepare')
  client.close()
})

test('what cannot be had again is not moved, and its client is told what it was', async () => {
  for (const [sql, state] of [
    ['CREATE TEMP TABLE mine (n int)', 'temporaryObject'],
    ['SELECT pg_advisory_lock(4711)', 'advisoryLock'],
    ['DECLARE c CURSOR WITH HOLD FOR SELECT 1', 'holdCursor'],
    ['SELECT setseed(0.5)', 'randomSeed'],
    ['SELECT 1; PREPARE beside AS SELECT 1', 'sqlPrepare'],
  ] as const) {
    const client = await bed.open()
    await checked(client, 'PREPARE harmless AS SELECT 1')
    await client.query(sql)
    await restart()
    assert.match(await lastWords(client), new RegExp(`session state \\(.*${state}.*\\)`), sql)
  }
})

test('when it cannot be made again the session ends, with the reason', async () => {
  const client = await bed.open()
  await checked(client, 'CREATE TABLE gone (n int)')
  await checked(client, 'PREPARE reader AS SELECT * FROM gone')
  await restart()
  const other = await bed.open()
  await checked(other, 'DROP TABLE gone')
  client.send(wire.query('SELECT 1'))
  assert.match(
    await lastWords(client),
    /could not be moved .* with its state \(sqlPrepare\): relation "gone" does not exist/,
  )
  other.close()
})

test('a session on its way survives the death of its plane', async () => {
  const primary = await bed.primary()
  const client = await bed.open({ application_name: 'mover' })
  await checked(client, 'PREPARE answer AS SELECT 42')
  const [blocker, asker] = [await bed.open(), await bed.open()]
  await checked(blocker, 'BEGIN')
  const restarting = bed.command(`RESTART ${primary}`)
  await waitUntil('it to have left', async () => (await pinsOf('mover')) === '')
  await killPlane(bed.router)
  await restarting
  assert.equal(await checked(client, 'EXECUTE answer'), '42')
  for (const one of [client, blocker, asker]) one.close()
})
