import assert from 'node:assert/strict'
import { test } from 'node:test'
import pg from 'pg'
import { Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

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
      routing: { reads: 'replicas' },
      tiers: {
        medium: { pools: ['replicas'] },
        low: { pools: ['replicas'], consistency: 'identity' },
        background: { consistency: 'strong' },
        rules: [
          ...['low', 'background', 'high'].map((tier) => ({ application: tier, tier })),
          { application: 'exact', consistency: 'strong' },
          { application: 'loose', tier: 'background', consistency: 'session' },
        ],
      },
    }
  },
})

const as = (tier: string) => bed.open({ parameters: { application_name: tier } })

/** On the replica itself, as superuser. */
async function onReplica(sql: string): Promise<Record<string, unknown>[]> {
  const [replica] = bed.cluster.coordinates.replicas
  const client = new pg.Client({ ...replica!, ...bed.cluster.superuser, database: bed.database })
  await client.connect()
  try {
    return (await client.query(sql)).rows
  } finally {
    await client.end()
  }
}

async function transactionsOn(shard: string): Promise<number> {
  const response = await fetch(`http://127.0.0.1:${bed.router.httpPort}/metrics`)
  const text = await response.text()
  const lines = text.split('\n').filter((line) => /^switchyard_transactions_total\{/.test(line))
  const own = lines.filter((line) => line.includes(`shard="${shard}"`) && line.includes(bed.database))
  return own.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
}

/** How many transactions ran on the replica while `work` did what it does. */
async function countOnReplica(work: () => Promise<unknown>): Promise<number> {
  const before = await transactionsOn('east')
  await work()
  return (await transactionsOn('east')) - before
}

async function settled(): Promise<void> {
  const client = await bed.open()
  await waitUntil(
    'reads to go to the replica',
    async () => (await countOnReplica(() => client.query('SELECT 1'))) === 1,
  )
}

test('a read goes to a replica, a write to the primary, and the session sees what it wrote', async () => {
  await settled()
  const client = await bed.open()
  await client.query('CREATE TABLE numbers (n int)')
  assert.equal(await countOnReplica(() => client.query('INSERT INTO numbers VALUES (1)')), 0)
  assert.equal(onlyValue(await client.query('SELECT count(*) FROM numbers')), '1')
  await waitUntil('the session to read from the replica again', async () => {
    return (await countOnReplica(() => client.query('SELECT count(*) FROM numbers'))) === 1
  })
})

test('requests that only read, in both protocols, and no others', async () => {
  await settled()
  const client = await bed.open()
  const reads: [string, () => Promise<unknown>][] = [
    ['simple', () => client.query('SELECT 1')],
    ['several', () => client.query('SELECT 1; SELECT 2')],
    ['extended', () => client.exchange(wire.extendedQuery('SELECT $1::int', ['1']))],
  ]
  for (const [what, read] of reads) assert.equal(await countOnReplica(read), 1, what)
  const others: [string, () => Promise<unknown>][] = [
    ['tells of the server', () => client.query('SELECT pg_is_in_recovery()')],
    ['locks', () => client.query('SELECT 1 FOR UPDATE')],
    ['sets', () => client.query("SET work_mem = '5MB'")],
    ['pipelined', () => client.exchange(Buffer.concat([wire.query('SELECT 1'), wire.query('SELECT 2')]), 2)],
    [
      'transaction',
      async () => {
        await client.query('BEGIN')
        await client.query('SELECT 1')
        await client.query('COMMIT')
      },
    ],
  ]
  for (const [what, other] of others) assert.equal(await countOnReplica(other), 0, what)
})

test('a view that calls what may change a session is read from the primary', async () => {
  await settled()
  await (await bed.open()).query(`CREATE VIEW glance AS SELECT set_config('work_mem', '6MB', false)`)
  const read = async (): Promise<number> => {
    const client = await bed.open()
    return await countOnReplica(() => client.query('SELECT * FROM glance'))
  }
  await waitUntil('the router to know the view', async () => (await read()) === 0)
  const client = await bed.open()
  assert.equal(await countOnReplica(() => client.query('SELECT 1')), 1, 'others are')
  await client.exchange(Buffer.concat([wire.parse('glance', 'SELECT * FROM glance'), wire.sync()]))
  const executed = Buffer.concat([wire.bind('', 'glance'), wire.execute(''), wire.sync()])
  assert.equal(await countOnReplica(() => client.exchange(executed)), 0)
})

test('a statement that is prepared by name is read from the replica once it is there, with the session’s settings', async () => {
  await settled()
  const client = await bed.open()
  await client.query("SET search_path = 'pg_catalog'; SET DateStyle = 'German'")
  await client.exchange(Buffer.concat([wire.parse('s', 'SELECT $1::date::text'), wire.sync()]))
  const run = () => client.exchange(Buffer.concat([wire.bind('', 's', ['2026-02-01']), wire.execute(''), wire.sync()]))
  await waitUntil('it to run on the replica', async () => (await countOnReplica(run)) === 1)
  assert.deepEqual(rowsOf(await run()), [['01.02.2026']])
})

test('strong consistency and the highest tier stay on the primary', async () => {
  await settled()
  for (const tier of ['background', 'high']) {
    const client = await as(tier)
    assert.equal(await countOnReplica(() => client.query('SELECT 1')), 0, tier)
  }
})

test('the consistency of a rule counts instead of that of the tier', async () => {
  await settled()
  const [exact, loose] = [await as('exact'), await as('loose')]
  assert.equal(await countOnReplica(() => exact.query('SELECT 1')), 0)
  assert.equal(await countOnReplica(() => loose.query('SELECT 1')), 1)
  const route = async (application: string): Promise<string> => {
    const clients = (await bed.console.query('SHOW CLIENTS')).rows
    const { id } = clients.find(({ application_name }) => application_name === application)
    return JSON.stringify((await bed.console.query(`EXPLAIN ROUTE FOR ${id}`)).rows)
  }
  assert.match(await route('exact'), /its consistency is strong/)
  assert.match(await route('loose'), /east/)
  const told = rowsOf(await exact.query('SHOW switchyard.route'))
  assert.deepEqual(told.at(-1), ['reads', 'run on the primary: their consistency is strong'])
})

test('what only the primary can answer is asked there without the client noticing, and remembered', async () => {
  const admin = await bed.open()
  await admin.query('CREATE UNLOGGED TABLE unlogged (n int); INSERT INTO unlogged VALUES (7)')
  await admin.query('CREATE TABLE audit (n int)')
  await admin.query(
    'CREATE FUNCTION tracked() RETURNS int LANGUAGE sql AS $$INSERT INTO audit VALUES (1); SELECT 42$$;' +
      'CREATE VIEW tracking AS SELECT tracked() AS answer',
  )
  await settled()
  const client = await bed.open()
  assert.equal(onlyValue(await client.query('SELECT n FROM unlogged')), '7')
  assert.equal(onlyValue(await client.query('SELECT answer FROM tracking')), '42')
  assert.equal(
    onlyValue(await client.exchange(wire.extendedQuery('SELECT answer FROM tracking WHERE $1 = 1', ['1']))),
    '42',
  )
  // On the primary: what another session wrote may reach the replica later.
  assert.deepEqual(await bed.sql('SELECT count(*)::int FROM audit'), [{ count: 2 }])
  // An error is the primary's own, and comes once.
  assert.deepEqual(sqlstatesOf(await client.query('SELECT 1/0')), ['22012'])
  await settled()
  assert.equal(await countOnReplica(() => client.query('SELECT n FROM unlogged')), 0)
})

test('what another session has committed may be missing, where consistency allows that', async () => {
  await settled()
  const [writer, reader, exact] = [await bed.open(), await bed.open(), await as('exact')]
  await writer.query('CREATE TABLE late (n int)')
  await waitUntil('the table to be on the replica', async () => (await onReplica('SELECT 1 FROM late')).length === 0)
  await onReplica('SELECT pg_wal_replay_pause()')
  try {
    // It has only been asked to.
    await waitUntil('replay to be paused', async () => {
      const [row] = await onReplica('SELECT pg_get_wal_replay_pause_state() AS state')
      return row?.state === 'paused'
    })
    await writer.query('INSERT INTO late VALUES (1)')
    const seen = [writer, reader, exact].map(async (one) => onlyValue(await one.query('SELECT count(*) FROM late')))
    assert.deepEqual(await Promise.all(seen), ['1', '0', '1'])
  } finally {
    await onReplica('SELECT pg_wal_replay_resume()')
  }
})

test('a sequence that is read on a replica is ahead, and what is asked about the server is asked of the primary', async () => {
  const client = await bed.open()
  await client.query('CREATE SEQUENCE counted')
  assert.equal(onlyValue(await client.query(`SELECT setval('counted', 1, false)`)), '1')
  await client.goodbye()
  const reader = await bed.open()
  assert.equal(onlyValue(await (await bed.open()).query(`SELECT nextval('counted')`)), '1')
  await settled()
  const read = async (sql: string): Promise<number> => Number((rowsOf(await reader.query(sql))[0] ?? [])[0])
  // Nobody waits for what nextval writes to be sent, nor for the router to know what this is.
  await waitUntil('it to be read on the replica', async () => (await read('SELECT * FROM counted')) === 33)
  assert.equal(await countOnReplica(async () => assert.equal(await read('SELECT * FROM counted'), 33)), 1)
  assert.equal(await countOnReplica(async () => assert.equal(await read('SELECT last_value FROM counted'), 1)), 0)
  const activity = 'SELECT count(*) FROM pg_stat_activity WHERE pid = pg_backend_pid()'
  assert.equal(await countOnReplica(async () => assert.equal(await read(activity), 1)), 0)
})

test('while replay is paused nothing stale is read: 150 writes and reads', async () => {
  await settled()
  const [writer, other] = [await bed.open(), await as('low')]
  await writer.query('CREATE TABLE hammered (n int); INSERT INTO hammered VALUES (0)')
  const own = await as('low')
  let stale = 0
  let paused = false
  for (let n = 1; n <= 150; n++) {
    if (n % 30 === 0) {
      await onReplica(paused ? 'SELECT pg_wal_replay_resume()' : 'SELECT pg_wal_replay_pause()')
      paused = !paused
    }
    const client = n % 2 === 0 ? writer : own
    await client.query(`UPDATE hammered SET n = ${n}`)
    if (n % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 20))
    if (onlyValue(await client.query('SELECT n FROM hammered')) !== String(n)) stale++
    // The identity has the same user, database and application.
    if (client === own && onlyValue(await other.query('SELECT n FROM hammered')) !== String(n)) stale++
  }
  if (paused) await onReplica('SELECT pg_wal_replay_resume()')
  assert.equal(stale, 0)
  await waitUntil('the replica to be used again', async () => {
    return (await countOnReplica(() => writer.query('SELECT n FROM hammered'))) === 1
  })
  assert.equal(onlyValue(await writer.query('SELECT n FROM hammered')), '150')
})

test('why reads run where they do can be asked, by operators and by the client itself', async () => {
  await settled()
  const client = await bed.open()
  const lines = new Map(rowsOf(await client.query('SHOW switchyard.route')).map(([name, value]) => [name, value]))
  assert.equal(lines.get('tier'), 'medium')
  assert.equal(lines.get('writes'), 'run on west')
  assert.match(lines.get('east') ?? '', /^may be used: as of \d+ ms ago; \d+ of 80 slots/)
  assert.match(lines.get('slot') ?? '', /^at east, a slot is free: medium has \d+ of 80, all tiers \d+ of 80/)
  assert.equal(lines.get('transactions'), 'that say READ ONLY run where reads do')
  const explain = async (what: string) => (await bed.console.query(`EXPLAIN ROUTE ${what}`)).rows
  const reads = await explain('SELECT count(*) FROM numbers')
  assert.deepEqual(
    reads.map(({ tier, shard, usable }) => [tier, shard, usable]),
    [
      ['high', 'west', true],
      ['medium', 'east', true],
      ['low', 'east', true],
      ['background', 'west', true],
    ],
  )
  const transaction = await explain('BEGIN READ ONLY')
  assert.deepEqual(
    transaction.map(({ shard }) => shard),
    reads.map(({ shard }) => shard),
  )
  assert.match(String(transaction[1]?.reason), /^if its first statement certainly only reads: as of/)
  assert.match(String((await explain('BEGIN'))[0]?.reason), /does not say READ ONLY/)
  const [write] = await explain('UPDATE numbers SET n = 1')
  assert.deepEqual([write?.shard, write?.tier], ['west', 'every'])
  const [own] = (await bed.show('CLIENTS')).filter(({ database }) => database === bed.database)
  const [line] = await explain(`FOR ${own?.id}`)
  assert.equal(line?.shard, 'east')
  assert.match(line?.reason ?? '', /as of \d+ ms ago; .*; a slot is free: medium has/)
  await assert.rejects(explain('FOR 999999'), /No client has the id/)
  const slots = (await bed.show('SLOTS')).filter(({ shard, tier }) => shard === 'east' && tier === 'medium')
  assert.ok(Number(slots[0]?.admitted) > 0)
  assert.deepEqual((await bed.show('POLICY')).map(({ tier, pools }) => [tier, pools])[1], ['medium', 'replicas'])
  assert.deepEqual(await bed.show('QUEUES'), [])
})

test('a replica that dies in the middle of a read costs nobody anything', async () => {
  await settled()
  const clients = await bed.openMany(4)
  const running = clients.map((client) => client.query("SELECT 'answer' FROM generate_series(1, 3) WHERE 1 = 1"))
  await Promise.all(running)
  process.kill(bed.cluster.postmasters[1]!, 'SIGQUIT')
  for (let round = 0; round < 50; round++) {
    for (const client of clients) {
      const errors = (await client.query('SELECT 1')).filter(({ type }) => type === 'E')
      assert.deepEqual(
        errors.map(({ fields }) => fields.M),
        [],
      )
    }
  }
})
