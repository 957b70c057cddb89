import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, shapeOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

const bed = await Testbed.open({
  routerOnly: true,
  replicas: 1,
  settings: ({ cluster }) => {
    const { primary, replicas } = cluster.coordinates
    return {
      shards: [
        { name: 'west', ...primary },
        { name: 'east', ...replicas[0]! },
      ],
      routing: { reads: 'replicas', begin: 'deferred', replica_wait: '150ms' },
      tiers: { medium: { pools: ['replicas'] }, rules: [{ application: 'high', tier: 'high' }] },
    }
  },
})

const tagsOf = (messages: readonly WireMessage[]): string[] =>
  messages.filter(({ type }) => type === 'C').map(({ strings }) => strings[0] ?? '')
const statusOf = (messages: readonly WireMessage[]): string => messages.at(-1)?.body.toString('latin1') ?? ''

/** In an open transaction: whether it runs on the replica. */
async function isOnReplica(client: WireClient): Promise<boolean> {
  return onlyValue(await client.query('SELECT pg_is_in_recovery()')) === 't'
}

/** On the replica itself, as superuser. */
async function onReplica(sql: string): Promise<void> {
  const [replica] = bed.cluster.coordinates.replicas
  const client = new pg.Client({ ...replica!, ...bed.cluster.superuser, database: bed.database })
  await client.connect()
  await client.query(sql).finally(() => client.end())
}

async function settled(client: WireClient, begin = 'BEGIN READ ONLY'): Promise<void> {
  await waitUntil('READ ONLY transactions to run on the replica', async () => {
    await client.query(begin)
    await client.query('SELECT 1')
    const found = await isOnReplica(client)
    await client.query('COMMIT')
    return found
  })
}

test('BEGIN READ ONLY runs on a replica, and the session’s next transaction on the primary', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE stock (n int); INSERT INTO stock VALUES (1)')
  await settled(client)
  const begun = await client.query('BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY')
  assert.deepEqual([shapeOf(begun), tagsOf(begun), statusOf(begun)], ['CZ', ['BEGIN'], 'T'])
  assert.equal(onlyValue(await client.query('SELECT n FROM stock')), '1')
  assert.equal(onlyValue(await client.query('SHOW transaction_isolation')), 'repeatable read')
  assert.equal(await isOnReplica(client), true)
  assert.equal(statusOf(await client.query('COMMIT')), 'I')
  assert.deepEqual(tagsOf(await client.query('INSERT INTO stock VALUES (2)')), ['INSERT 0 1'])
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM stock')), '2')
})

test('every way to say READ ONLY counts', async () => {
  const client = await bed.open()
  await settled(client)
  const ways = [
    ['START TRANSACTION READ ONLY'],
    ['BEGIN', 'SET TRANSACTION READ ONLY'],
    ['BEGIN; SET TRANSACTION ISOLATION LEVEL READ COMMITTED, READ ONLY'],
    ['BEGIN READ ONLY', "SET LOCAL work_mem = '6MB'"],
  ]
  for (const way of ways) {
    for (const sql of way) assert.deepEqual(sqlstatesOf(await client.query(sql)), [], sql)
    assert.equal(onlyValue(await client.query('SELECT 1')), '1')
    assert.equal(await isOnReplica(client), true, way.join('; '))
    await client.query('ROLLBACK')
  }
  await client.query("SET default_transaction_read_only = 'on'")
  await settled(client, 'BEGIN')
  await client.query('BEGIN READ WRITE')
  await client.query('SELECT 1')
  assert.equal(await isOnReplica(client), false)
  await client.query('ROLLBACK')
  const other = await bed.open({ parameters: { options: '-c default_transaction_read_only=on' } })
  assert.equal(other.parameters.get('default_transaction_read_only'), 'on')
  await settled(other, 'BEGIN')
})

test('what may write, and what is not certain, begins on the primary', async () => {
  const client = await bed.open()
  await settled(client)
  const begins = [
    ['BEGIN', 'SELECT 1'],
    ['BEGIN READ ONLY', "SELECT pg_advisory_xact_lock(7), 'lock'"],
    ['BEGIN READ ONLY', 'SELECT pg_backend_pid()'],
    ['BEGIN ISOLATION LEVEL SERIALIZABLE READ ONLY', 'SELECT 1'],
    ['BEGIN READ ONLY; SET TRANSACTION READ WRITE', 'SELECT 1'],
  ] as const
  for (const [begin, first] of begins) {
    assert.equal(statusOf(await client.query(begin)), 'T')
    assert.deepEqual(sqlstatesOf(await client.query(first)), [], first)
    assert.equal(await isOnReplica(client), false, begin)
    await client.query('COMMIT')
  }
  const high = await bed.open({ parameters: { application_name: 'high' } })
  await high.query('BEGIN READ ONLY')
  await high.query('SELECT 1')
  assert.equal(await isOnReplica(high), false)
})

test('a transaction that does nothing asks no server; what fails in it fails as ever', async () => {
  const client = await bed.open()
  await client.query('SELECT 1')
  const empty = [await client.query('BEGIN'), await client.query('COMMIT'), await client.query('COMMIT')]
  assert.deepEqual(empty.map(statusOf), ['T', 'I', 'I'])
  assert.deepEqual(empty.map(tagsOf), [['BEGIN'], ['COMMIT'], ['COMMIT']])
  await client.query('BEGIN')
  const again = (await client.query('BEGIN')).filter(({ type }) => type === 'N').map(({ sqlstate }) => sqlstate)
  assert.deepEqual(again, ['25001'])
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1/0')), ['22012'])
  const refused = await client.query('SELECT 1')
  assert.deepEqual([sqlstatesOf(refused), statusOf(refused)], [['25P02'], 'E'])
  assert.deepEqual(tagsOf(await client.query('COMMIT')), ['ROLLBACK'])
  await client.query('BEGIN READ ONLY')
  assert.deepEqual(sqlstatesOf(await client.query('CREATE TABLE never (n int)')), ['25006'])
  await client.query('ROLLBACK')
  // A pipeline of a whole transaction, and one behind it.
  const all = ['BEGIN', 'CREATE TABLE piped (n int)', 'COMMIT', 'INSERT INTO piped VALUES (1)', 'BEGIN', 'ROLLBACK']
  const messages = await client.exchange(Buffer.concat(all.map((sql) => wire.query(sql))), all.length)
  assert.deepEqual(tagsOf(messages), ['BEGIN', 'CREATE TABLE', 'COMMIT', 'INSERT 0 1', 'BEGIN', 'ROLLBACK'])
})

test('who listens hears nothing in a transaction, also in one that no server knows of', async () => {
  const [client, other] = [await bed.open(), await bed.open()]
  await client.query('LISTEN news')
  await client.query('BEGIN')
  await other.query("NOTIFY news, 'one'")
  await other.query('SELECT 1')
  const committed = await client.query('COMMIT')
  const early = committed.filter(({ type }) => type === 'A').length
  if (early === 0) assert.equal((await client.next()).type, 'A')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
})

test('settings that a transaction on a replica makes are the session’s when it commits', async () => {
  const client = await bed.open()
  await settled(client)
  await client.query('BEGIN READ ONLY')
  await client.query('SELECT 1')
  assert.equal(await isOnReplica(client), true)
  await client.query("SET work_mem = '7MB'; SET LOCAL statement_timeout = '1min'")
  await client.query('COMMIT')
  assert.equal(onlyValue(await client.query('SHOW work_mem')), '7MB')
  assert.equal(onlyValue(await client.query('SHOW statement_timeout')), '0')
})

test('cursors, prepared statements and the extended protocol work in it', async () => {
  const client = await bed.open()
  await client.exchange(Buffer.concat([wire.parse('square', 'SELECT $1::int * $1::int'), wire.sync()]))
  await settled(client)
  await client.query('BEGIN READ ONLY')
  assert.deepEqual(sqlstatesOf(await client.query('DECLARE c CURSOR FOR SELECT generate_series(1, 5)')), [])
  assert.deepEqual(rowsOf(await client.query('FETCH 2 FROM c')), [['1'], ['2']])
  assert.equal(await isOnReplica(client), true)
  const run = Buffer.concat([wire.bind('', 'square', ['9']), wire.execute(''), wire.sync()])
  assert.equal(onlyValue(await client.exchange(run)), '81')
  assert.equal(onlyValue(await client.exchange(wire.extendedQuery('SELECT $1::text', ['x']))), 'x')
  // The end and what follows it in one go: the write runs on the primary.
  const rest = Buffer.concat([wire.query('COMMIT'), wire.query('CREATE TABLE behind (n int)')])
  assert.deepEqual(tagsOf(await client.exchange(rest, 2)), ['COMMIT', 'CREATE TABLE'])
})

/** As drivers send it that know nothing but the extended protocol: a statement without a Sync of its own, prepared under `name`. */
const extended = (sql: string, name = ''): Buffer =>
  Buffer.concat([wire.parse(name, sql), wire.bind('', name), wire.execute('')])

test('BEGIN READ ONLY in the extended protocol does the same, ahead of the first statement as by itself', async () => {
  const client = await bed.open()
  await settled(client)
  const first = Buffer.concat([extended('BEGIN READ ONLY'), wire.extendedQuery('SELECT pg_backend_pid() > 0')])
  // No read, so it begins on the primary.
  assert.equal(shapeOf(await client.exchange(first)), '12C12TDCZ')
  assert.equal(await isOnReplica(client), false)
  await client.exchange(Buffer.concat([extended('COMMIT'), wire.sync()]))
  const ahead = Buffer.concat([extended('BEGIN READ ONLY'), wire.extendedQuery('SELECT 41 + $1::int', ['1'])])
  const begun = await client.exchange(ahead)
  assert.deepEqual([shapeOf(begun), tagsOf(begun), statusOf(begun)], ['12C12TDCZ', ['BEGIN', 'SELECT 1'], 'T'])
  assert.equal(onlyValue(begun), '42')
  assert.equal(await isOnReplica(client), true)
  const committed = await client.exchange(Buffer.concat([extended('COMMIT'), wire.sync()]))
  assert.deepEqual([tagsOf(committed), statusOf(committed)], [['COMMIT'], 'I'])
  const alone = await client.exchange(Buffer.concat([extended('BEGIN READ ONLY'), wire.sync()]))
  assert.deepEqual([shapeOf(alone), statusOf(alone)], ['12CZ', 'T'])
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  assert.equal(await isOnReplica(client), true)
  await client.exchange(Buffer.concat([extended('ROLLBACK'), wire.sync()]))
  const never = Buffer.concat([extended('BEGIN'), extended('COMMIT'), wire.sync()])
  assert.deepEqual(tagsOf(await client.exchange(never)), ['BEGIN', 'COMMIT'])
})

test('the same of a prepared BEGIN, described, in parts, and with an error behind it', async () => {
  const client = await bed.open()
  await settled(client)
  const described = [wire.parse('S_1', 'BEGIN READ ONLY'), wire.describe('S', 'S_1'), wire.bind('', 'S_1')]
  const all = Buffer.concat([...described, wire.describe('P', ''), wire.execute('', 1), wire.sync()])
  for (const byte of all.subarray(0, -1)) client.send(Buffer.of(byte))
  assert.equal(shapeOf(await client.exchange(all.subarray(-1))), '1tn2nCZ')
  assert.equal(onlyValue(await client.query('SELECT 1')), '1')
  assert.equal(await isOnReplica(client), true)
  await client.query('COMMIT')
  const again = Buffer.concat([wire.bind('', 'S_1'), wire.execute(''), wire.extendedQuery('SELECT 7')])
  assert.equal(onlyValue(await client.exchange(again)), '7')
  assert.equal(await isOnReplica(client), true)
  await client.query('COMMIT')
  // On a server that has never heard of it, within a transaction.
  await client.query('BEGIN')
  await client.query('CREATE TABLE within (n int)')
  const twice = await client.exchange(Buffer.concat([wire.bind('', 'S_1'), wire.execute(''), wire.sync()]))
  const warnings = twice.filter(({ type }) => type === 'N').map(({ sqlstate }) => sqlstate)
  assert.deepEqual([tagsOf(twice), warnings, statusOf(twice)], [['BEGIN'], ['25001'], 'T'])
  await client.query('ROLLBACK')
  const taken = await client.exchange(Buffer.concat([extended('BEGIN READ ONLY', 'S_1'), wire.sync()]))
  assert.deepEqual([sqlstatesOf(taken), statusOf(taken)], [['42P05'], 'I'])
  const wrong = [extended('BEGIN READ ONLY'), extended('SELECT 1/0'), extended('SELECT 1'), wire.sync()]
  const failed = await client.exchange(Buffer.concat(wrong))
  assert.deepEqual([tagsOf(failed), sqlstatesOf(failed), statusOf(failed)], [['BEGIN'], ['22012'], 'E'])
  await client.query('ROLLBACK')
  const several = await client.exchange(Buffer.concat([extended('BEGIN; SET TRANSACTION READ ONLY'), wire.sync()]))
  assert.deepEqual([sqlstatesOf(several), statusOf(several)], [['42601'], 'I'])
})

test('functions of one’s own that are not volatile are read from replicas', async () => {
  const client = await bed.open()
  await client.query(
    "CREATE FUNCTION greeting() RETURNS text LANGUAGE sql STABLE AS $$SELECT 'hello'::text$$;" +
      'CREATE FUNCTION stamped() RETURNS text LANGUAGE sql VOLATILE AS $$SELECT clock_timestamp()::text$$',
  )
  const before = async (): Promise<number> => {
    const { rows } = await bed.console.query('SHOW SHARDS')
    void rows
    const text = await (await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)).text()
    const lines = text.split('\n').filter((line) => /^switchyard_transactions_total\{/.test(line))
    return lines
      .filter((line) => line.includes('shard="east"') && line.includes(bed.database))
      .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
  }
  const movedBy = async (sql: string): Promise<number> => {
    const count = await before()
    assert.deepEqual(sqlstatesOf(await client.query(sql)), [])
    return (await before()) - count
  }
  await waitUntil('greeting() to be known', async () => (await movedBy('SELECT greeting()')) === 1)
  assert.equal(await movedBy('SELECT stamped()'), 0)
})

test('a read waits for the replica to have what its session wrote, and not for ever: nothing stale', async () => {
  const client = await bed.open()
  await client.query('CREATE TABLE hammered (n int); INSERT INTO hammered VALUES (0)')
  let n = 0
  const writeThenRead = async (): Promise<boolean> => {
    n++
    await client.query(`UPDATE hammered SET n = ${n}`)
    await client.query('BEGIN READ ONLY')
    assert.equal(onlyValue(await client.query('SELECT n FROM hammered')), String(n))
    const found = await isOnReplica(client)
    await client.query('COMMIT')
    assert.equal(onlyValue(await client.query('SELECT n FROM hammered')), String(n))
    return found
  }
  await waitUntil('three reads in a row to have waited for the replica', async () => {
    return (await writeThenRead()) && (await writeThenRead()) && (await writeThenRead())
  })
  for (const phase of ['pause', 'resume', 'pause', 'resume']) {
    await onReplica(`SELECT pg_wal_replay_${phase}()`)
    for (let round = 0; round < 5; round++) await writeThenRead()
    if (phase === 'pause') assert.equal(await writeThenRead(), false)
  }
  await settled(client)
})

test('node-postgres and its pool: READ ONLY transactions beside writes, nothing stale', async () => {
  const pool = new pg.Pool({ ...bed.login, ...bed.address, max: 4 })
  try {
    await pool.query('CREATE TABLE balance (n int); INSERT INTO balance VALUES (0)')
    for (let n = 1; n <= 40; n++) {
      const client = await pool.connect()
      try {
        await client.query('UPDATE balance SET n = $1', [n])
        await client.query('BEGIN READ ONLY')
        const { rows } = await client.query('SELECT n FROM balance')
        await client.query('COMMIT')
        assert.equal(rows[0].n, n)
      } finally {
        client.release()
      }
    }
  } finally {
    await pool.end()
  }
})

// The last one: it sends READ ONLY transactions of this role to the primary for a while.
test('what a replica cannot do at first is done by the primary; later it ends the transaction, once', async () => {
  const admin = await bed.open()
  await admin.query('CREATE UNLOGGED TABLE scratch (n int); INSERT INTO scratch VALUES (3)')
  await settled(admin)
  const client = await bed.open()
  await client.query('BEGIN READ ONLY')
  assert.equal(onlyValue(await client.query('SELECT n FROM scratch')), '3')
  assert.equal(await isOnReplica(client), false)
  await client.query('COMMIT')
  await client.query('BEGIN READ ONLY')
  await client.query('SELECT 1')
  assert.equal(await isOnReplica(client), true)
  const refused = await client.query('SELECT pg_advisory_xact_lock(1)')
  assert.deepEqual([sqlstatesOf(refused), statusOf(refused)], [['40001'], 'E'])
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1')), ['25P02'])
  assert.deepEqual(tagsOf(await client.query('ROLLBACK')), ['ROLLBACK'])
  await client.query('BEGIN READ ONLY')
  await client.query('SELECT 1')
  assert.equal(await isOnReplica(client), false)
  assert.deepEqual(sqlstatesOf(await client.query('SELECT pg_advisory_xact_lock(1)')), [])
  await client.query('COMMIT')
})
