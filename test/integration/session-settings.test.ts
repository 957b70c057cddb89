import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import { waitUntil } from '../support/wait-until.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf, type WireMessage } from '../support/wire-message.ts'

/** One server connection for everybody: whoever comes finds it as somebody else left it. */
const bed = await Testbed.open({ settings: { pool: { size: 1 } } })

const OTHER = `${bed.role.user}_other`
await bed.sql(`
  CREATE ROLE ${OTHER}; GRANT ${OTHER} TO ${bed.role.user};
  CREATE TABLE orders (tenant text, item text);
  INSERT INTO orders SELECT 'tenant ' || n % 10, 'item ' || n FROM generate_series(0, 99) n;
  ALTER TABLE orders ENABLE ROW LEVEL SECURITY;
  ALTER TABLE orders FORCE ROW LEVEL SECURITY;
  CREATE POLICY own ON orders USING (tenant = current_setting('app.tenant', true));
  GRANT ALL ON orders TO PUBLIC;
  ALTER DATABASE ${bed.database} SET app.region = 'usual';
`)
bed.onEnd(() => bed.cluster.sql(`DROP ROLE ${OTHER}`))

const show = async (client: WireClient, name: string): Promise<string> => {
  const answer = await client.query(`SELECT coalesce(current_setting('${name}', true), 'NULL')`)
  return sqlstatesOf(answer)[0] ?? String(onlyValue(answer))
}

/** Runs the texts one after the other; what fails, fails. */
async function run(client: WireClient, texts: readonly string[]): Promise<void> {
  for (const text of texts) await client.query(text)
}

test('row level security by a setting of the application, for many clients at the same time', async () => {
  const clients = await bed.openMany(10)
  await Promise.all(clients.map((client, at) => client.query(`SET app.tenant = 'tenant ${at}'`)))
  for (let round = 0; round < 5; round += 1) {
    await Promise.all(
      clients.map(async (client, at) => {
        const rows = rowsOf(await client.query('SELECT DISTINCT tenant FROM orders'))
        assert.deepEqual(rows, [[`tenant ${at}`]])
      }),
    )
  }
  const stranger = await bed.open()
  assert.deepEqual(rowsOf(await stranger.query('SELECT * FROM orders')), [])
})

test('settings that the server refuses at login cost no server connection', {
  skip: isDirect && 'about its pool',
}, async () => {
  const client = await bed.open()
  const pid = onlyValue(await client.query('SELECT pg_backend_pid()'))
  const usual = await show(client, 'work_mem')
  for (const parameters of [{ TimeZone: 'Mars/Olympus' }, { work_mem: '9MB', options: '-c nonsense=1' }]) {
    await assert.rejects(bed.open({ parameters }), /TimeZone|nonsense/)
    assert.equal(onlyValue(await client.query('SELECT pg_backend_pid()')), pid)
    assert.equal(await show(client, 'work_mem'), usual)
  }
})

/** What texts leave of a setting that was given the value `before`; `usual`: what a session has that set nothing. */
type Fate = readonly [name: string, texts: readonly string[], left: 'before' | 'usual' | { readonly value: string }]

const fates = (name: string, value: string): readonly Fate[] => [
  ['set in a transaction', ['BEGIN', `SET ${name} = '${value}'`, 'COMMIT'], { value }],
  ['set in a transaction that is rolled back', ['BEGIN', `SET ${name} = '${value}'`, 'ROLLBACK'], 'before'],
  ['set in a transaction that fails', ['BEGIN', `SET ${name} = '${value}'`, 'SELECT 1/0', 'COMMIT'], 'before'],
  ['set and rolled back in one text', [`BEGIN; SET ${name} = '${value}'; ROLLBACK`], 'before'],
  ['set in a text that fails', [`SET ${name} = '${value}'; SELECT 1/0`], 'before'],
  ['set in a text with a transaction that fails later', [`SET ${name} = '${value}'; COMMIT; SELECT 1/0`], { value }],
  [
    'set behind a savepoint that is rolled back to',
    ['BEGIN', 'SAVEPOINT a', `SET ${name} = '${value}'`, 'ROLLBACK TO a', 'COMMIT'],
    'before',
  ],
  [
    'set before a savepoint that is rolled back to',
    ['BEGIN', `SET ${name} = '${value}'`, 'SAVEPOINT a', 'ROLLBACK TO a', 'COMMIT'],
    { value },
  ],
  [
    'set behind a savepoint that is released',
    ['BEGIN', 'SAVEPOINT a', `SET ${name} = '${value}'`, 'RELEASE a', 'COMMIT'],
    { value },
  ],
  ['set for a transaction', ['BEGIN', `SET LOCAL ${name} = '${value}'`, 'COMMIT'], 'before'],
  [
    'set, then for the transaction',
    ['BEGIN', `SET ${name} = '${value}'`, `SET LOCAL ${name} = '1000'`, 'COMMIT'],
    { value },
  ],
  ['set by set_config', [`SELECT set_config('${name}', '${value}', false)`], { value }],
  ['set by set_config for the transaction', [`SELECT set_config('${name}', '${value}', true)`], 'before'],
  ['set by a computed value', [`SELECT set_config('${name}', trim(' ${value} '), false)`], { value }],
  ['set to the default', [`SET ${name} TO DEFAULT`], 'usual'],
  ['reset', [`RESET ${name}`], 'usual'],
  ['reset in a transaction that is rolled back', ['BEGIN', `RESET ${name}`, 'ROLLBACK'], 'before'],
  ['reset, then set', ['BEGIN', `RESET ${name}`, `SET ${name} = '${value}'`, 'COMMIT'], { value }],
  ['set, then reset', ['BEGIN', `SET ${name} = '${value}'`, `RESET ${name}`, 'COMMIT'], 'usual'],
  ['reset with all others', ['RESET ALL'], 'usual'],
  ['discarded', ['DISCARD ALL'], 'usual'],
  ['set twice', [`SET ${name} = 1000`, `SET ${name} = '${value}'`], { value }],
  ['set, and something else fails', [`SET ${name} = '${value}'`, 'SELECT 1/0'], { value }],
  ['set in a wrong way', [`SET ${name} = '${value}', nonsense, 5`], 'before'],
]

for (const [name, before, value, usual] of [
  ['statement_timeout', '11s', '22s', '0'],
  ['app.tenant', 'eleven', 'twenty', ''],
] as const) {
  for (const [fate, texts, left] of fates(name, value)) {
    test(`${name} ${fate}: its session has what it would have alone, others have nothing of it`, async () => {
      const [client, stranger] = await bed.openMany(2)
      const strange = await show(stranger!, name)
      await client!.query(`SET ${name} = '${before}'`)
      await run(client!, texts)
      const expected = left === 'before' ? before : left === 'usual' ? usual : left.value
      for (let round = 0; round < 2; round += 1) {
        assert.match(await show(stranger!, name), name === 'app.tenant' ? /^(NULL|)$/ : new RegExp(`^${strange}$`))
        assert.equal(await show(client!, name), expected)
      }
    })
  }

  for (const [fate, texts, left] of fates(name, value)) {
    test(`${name} from the startup packet, then ${fate}`, async () => {
      const client = await bed.open({ parameters: { [name]: before } })
      const stranger = await bed.open()
      await run(client, texts)
      const expected = typeof left === 'object' ? left.value : before
      for (let round = 0; round < 2; round += 1) {
        await stranger.query('SELECT 1')
        assert.equal(await show(client, name), expected)
      }
    })
  }
}

test('sessions that only set share server connections', { skip: isDirect && 'of the pool' }, async () => {
  const clients = await bed.openMany(3)
  for (const client of clients) {
    await run(client, ['SET work_mem = 1024', 'SET app.x = 5', 'BEGIN', 'SET app.y = 6', 'ROLLBACK', 'RESET work_mem'])
  }
  await waitUntil('no pinned session', async () => (await bed.pool()).cl_pinned === 0)
})

test('a role stays with its session', async () => {
  const [client, stranger] = await bed.openMany(2)
  const who = async (one: WireClient) => rowsOf(await one.query('SELECT current_user, session_user'))[0]
  const [user] = [bed.role.user]
  await client!.query(`SET ROLE ${OTHER}`)
  for (let round = 0; round < 2; round += 1) {
    assert.deepEqual(await who(stranger!), [user, user])
    assert.deepEqual(await who(client!), [OTHER, user])
  }
  await run(client!, ['BEGIN', 'RESET ROLE', 'ROLLBACK'])
  assert.deepEqual(await who(stranger!), [user, user])
  assert.deepEqual(await who(client!), [OTHER, user])
  await client!.query('SET ROLE NONE')
  assert.deepEqual(await who(stranger!), [user, user])
  assert.deepEqual(await who(client!), [user, user])
})

test('session characteristics stay with their session', async () => {
  const [client, stranger] = await bed.openMany(2)
  await client!.query('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY')
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await show(stranger!, 'transaction_isolation'), 'read committed')
    assert.equal(await show(stranger!, 'transaction_read_only'), 'off')
    assert.equal(await show(client!, 'transaction_isolation'), 'serializable')
    assert.equal(await show(client!, 'transaction_read_only'), 'on')
  }
})

test('a setting that cannot be restored fails statements until it is changed, and nothing runs without it', {
  skip: isDirect && 'of the pool',
}, async () => {
  const gone = `${bed.role.user}_gone`
  await bed.sql(`CREATE ROLE ${gone}; GRANT ${gone} TO ${bed.role.user}; CREATE TABLE done (what text);
    GRANT ALL ON done TO PUBLIC`)
  const [client, stranger] = await bed.openMany(2)
  await client!.query(`SET ROLE ${gone}`)
  await stranger!.query('SELECT 1')
  await bed.cluster.sql(`DROP ROLE ${gone}`)
  for (const text of [
    `INSERT INTO done VALUES ('one')`,
    'BEGIN',
    'COMMIT',
    `ROLLBACK; INSERT INTO done VALUES ('two')`,
  ]) {
    const answer = await client!.query(text)
    assert.deepEqual(sqlstatesOf(answer), ['22023'], text)
    assert.equal(answer.at(-1)?.body.toString(), 'I')
    assert.deepEqual(sqlstatesOf(await stranger!.query('SELECT 1')), [])
  }
  const insert = (what: string) => wire.extendedQuery(`INSERT INTO done VALUES ('${what}')`)
  client!.send(
    wire.query('BEGIN'),
    insert('three'),
    wire.query('COMMIT'),
    wire.query(`INSERT INTO done VALUES ('four')`),
  )
  for (let answer = 0; answer < 4; answer += 1) assert.deepEqual(sqlstatesOf(await client!.until('Z')), ['22023'])
  assert.deepEqual(rowsOf(await stranger!.query('SELECT * FROM done')), [])
})

test('what is sent right behind, while the session is asked for its settings, is answered in its turn', async () => {
  const [client, stranger] = await bed.openMany(2)
  for (let round = 0; round < 20; round += 1) {
    client!.send(wire.query(`BEGIN; SET app.round = '${round}'; ROLLBACK`))
    await client!.until('Z')
    client!.send(wire.query(`SET app.round = '${round}'`), wire.query(`SELECT current_setting('app.round')`))
    await client!.until('Z')
    assert.equal(onlyValue(await client!.until('Z')), String(round))
    assert.notEqual(await show(stranger!, 'app.round'), String(round))
    assert.equal(await show(client!, 'app.round'), String(round))
  }
})

test('a client that leaves while it is asked leaves nothing behind', async () => {
  for (let round = 0; round < 20; round += 1) {
    const client = await bed.open()
    client.send(wire.query(`BEGIN; SET work_mem = '7MB'; COMMIT`))
    await client.until('Z')
    if (round % 2 === 0) client.reset()
    else await client.goodbye()
    assert.notEqual(await show(await bed.open(), 'work_mem'), '7MB')
  }
})

test('a pipeline of statements that set, with one that fails', async () => {
  const [client, stranger] = await bed.openMany(2)
  client!.send(
    wire.parse('', `SET app.a = '1'`),
    wire.bind('', ''),
    wire.execute(''),
    wire.sync(),
    wire.parse('', `SET app.b = '2'`),
    wire.bind('', ''),
    wire.execute(''),
    wire.parse('', `SELECT 1/0`),
    wire.bind('', ''),
    wire.execute(''),
    wire.sync(),
    wire.parse('', `SET app.c = '3'`),
    wire.bind('', ''),
    wire.execute(''),
    wire.sync(),
  )
  for (let answer = 0; answer < 3; answer += 1) await client!.until('Z')
  await stranger!.query('SELECT 1')
  assert.deepEqual(
    [await show(client!, 'app.a'), await show(client!, 'app.b'), await show(client!, 'app.c')],
    ['1', '', '3'],
  )
})

test('whatever encoding a client has, its settings are what it said', async () => {
  const latin = await bed.open({ parameters: { client_encoding: 'LATIN1' } })
  const other = await bed.open({ parameters: { client_encoding: 'UTF8' } })
  const latin1 = (sql: string): Buffer => wire.frame('Q', Buffer.from(`${sql}\0`, 'latin1'))
  await latin.exchange(latin1(`SET app.name = 'José'`))
  await latin.exchange(latin1(`SET application_name = 'José'`))
  await other.query(`SET app.name = 'Zoë'`)
  for (let round = 0; round < 2; round += 1) {
    const hex = `SELECT encode(convert_to(current_setting('app.name'), 'UTF8'), 'hex')`
    assert.equal(onlyValue(await other.query(hex)), Buffer.from('Zoë').toString('hex'))
    assert.equal(onlyValue(await latin.query(hex)), Buffer.from('José').toString('hex'))
    const shown = onlyValue(await latin.query('SHOW application_name'))
    assert.match(String(shown), /^Jos(\\xc3\\xa9|\?\?)$/)
  }
})

test('a setting of an application that others have set is empty, not NULL', {
  skip: isDirect && 'of the pool',
}, async () => {
  const [client, stranger] = await bed.openMany(2)
  const value = `SELECT current_setting('app.never_seen', true)`
  assert.equal(onlyValue(await stranger!.query(value)), null)
  await client!.query(`SET app.never_seen = '1'`)
  assert.equal(onlyValue(await stranger!.query(value)), '')
})

test('a setting from the startup packet that is reset in a transaction is what it was when that is over', {
  skip: isDirect && 'of the pool',
}, async () => {
  const client = await bed.open({ parameters: { lock_timeout: '11s' } })
  await run(client, ['BEGIN', 'RESET lock_timeout'])
  assert.equal(await show(client, 'lock_timeout'), '0')
  await client.query('COMMIT')
  assert.equal(await show(client, 'lock_timeout'), '11s')
})

test('RESET ALL tells of every setting that was another, before it is ready, with settings of an application among them', async () => {
  const parameters = { options: '-c app.tenant=t9 -c search_path=public', application_name: 'tenant' }
  const client = await bed.open({ parameters })
  const statuses = (answer: readonly WireMessage[]): string[] =>
    answer
      .slice(
        0,
        answer.findIndex(({ type }) => type === 'Z'),
      )
      .flatMap(({ type, strings }) => {
        return type === 'S' ? [strings.slice(0, 2).join('=')] : []
      })
  await run(client, [`SET search_path TO "$user", public`, `SET application_name TO 'alpha'`, `SET app.tenant TO 't1'`])
  assert.deepEqual(statuses(await client.query('RESET ALL')).toSorted(), [
    'application_name=tenant',
    'search_path=public',
  ])
  assert.deepEqual([await show(client, 'search_path'), await show(client, 'app.tenant')], ['public', 't9'])
})

test('what resets a setting of the startup packet gives it back, whatever is the default of the database', async () => {
  for (const sql of ['RESET ALL', 'RESET app.region', 'DISCARD ALL', `SET app.region = 'usual'; RESET app.region`]) {
    const client = await bed.open({ parameters: { options: '-c app.region=mine' } })
    await client.query(sql)
    assert.equal(await show(client, 'app.region'), 'mine', sql)
    await run(client, [`SET app.region = 'usual'`, sql])
    assert.equal(await show(client, 'app.region'), 'mine', `${sql} of the default`)
    await run(client, [`SET app.region = 'other'`, 'BEGIN', 'RESET app.region', 'ROLLBACK'])
    assert.equal(await show(client, 'app.region'), 'other')
  }
  const stranger = await bed.open()
  assert.equal(await show(stranger, 'app.region'), 'usual')
})

test('what is set behind RESET ALL in one text stays set, for its session', async () => {
  const client = await bed.open({ parameters: { options: '-c app.tenant=t9 -c search_path=public' } })
  for (const path of ['"$user"', '"$user", public']) {
    await client.query(`RESET ALL; SET search_path TO ${path}`)
    assert.equal(await show(client, 'search_path'), path)
  }
  await client.query(`RESET ALL; SET work_mem = '5MB'`)
  const other = await bed.open()
  assert.notEqual(await show(other, 'work_mem'), '5MB')
  assert.equal(await show(client, 'work_mem'), '5MB')
})

test('a setting that the startup packet gave and SET has taken back stays taken back', async () => {
  const client = await bed.open({ parameters: { default_transaction_read_only: 'on' } })
  const stranger = await bed.open()
  await client.query('SET default_transaction_read_only = off')
  await stranger.query('SELECT 1')
  await run(client, ['BEGIN', `SET lock_timeout = '1s'`, 'ROLLBACK'])
  await stranger.query('SELECT 1')
  assert.equal(await show(client, 'transaction_read_only'), 'off')
  assert.equal(client.parameters.get('default_transaction_read_only'), 'off')
  await run(client, ['BEGIN', 'RESET default_transaction_read_only', 'COMMIT'])
  assert.equal(await show(client, 'transaction_read_only'), 'on')
  assert.equal(client.parameters.get('default_transaction_read_only'), 'on')
})

test('a timeout for transactions is no setting of one transaction', async () => {
  const [client, stranger] = await bed.openMany(2)
  if ((await show(client!, 'transaction_timeout')) === 'NULL') return
  await run(client!, [`SELECT set_config('transaction_timeout', '77s', false)`])
  await stranger!.query('SELECT 1')
  assert.equal(await show(client!, 'transaction_timeout'), '77s')
})

test('a session with hardly any time for its statements is followed, and hurries nobody else', async () => {
  const [client, stranger] = await bed.openMany(2)
  for (let round = 0; round < 20; round += 1) {
    await run(client!, [`SET statement_timeout = '5ms'`, 'BEGIN', `SET lock_timeout = '${round + 1}s'`, 'ROLLBACK'])
    assert.equal(await show(stranger!, 'statement_timeout'), '0')
  }
})

test("what restores a session does not count for its statements' time", {
  skip: isDirect && 'of the pool',
}, async () => {
  const [hurried, other] = await bed.openMany(2)
  await hurried!.query(`SET temp_tablespaces = 'pg_default'`)
  for (const client of [hurried, other]) await client!.query(`SET statement_timeout = '20ms'`)
  // Its name is looked up when it is set.
  await bed.cluster.sql('BEGIN; LOCK TABLE pg_tablespace IN ACCESS EXCLUSIVE MODE')
  const answer = show(hurried!, 'temp_tablespaces')
  try {
    await waitUntil('the setting to have waited for longer than the sessions may', async () => {
      const waiting = await bed.cluster.sql(
        `SELECT FROM pg_locks WHERE NOT granted AND clock_timestamp() - waitstart > interval '60 ms'`,
      )
      return waiting.length > 0
    })
  } finally {
    await bed.cluster.sql('ROLLBACK')
  }
  assert.equal(await answer, 'pg_default')
})
