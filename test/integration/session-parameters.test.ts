import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDirect, Testbed } from '../support/testbed.ts'
import type { WireClient } from '../support/wire-client.ts'
import * as wire from '../support/wire-frames.ts'
import { onlyValue, rowsOf, sqlstatesOf } from '../support/wire-message.ts'

/** One server connection for everybody: whoever comes finds it as somebody else left it. */
const bed = await Testbed.open({ settings: { pool: { size: 1 } } })

const show = async (client: WireClient, name: string): Promise<string | null> =>
  onlyValue(await client.query(`SHOW ${name}`))

const reported: readonly (readonly [string, string, string])[] = [
  ['application_name', 'billing', 'shipping'],
  ['DateStyle', 'SQL, DMY', 'German, DMY'],
  ['TimeZone', 'Asia/Tokyo', 'America/Bogota'],
  ['IntervalStyle', 'iso_8601', 'sql_standard'],
  ['client_encoding', 'LATIN1', 'WIN1252'],
  ['standard_conforming_strings', 'off', 'on'],
]

for (const [name, one, other] of reported) {
  test(`${name} follows each client, set by SET`, async () => {
    const [first, second] = await bed.openMany(2)
    await first!.query(`SET ${name} = '${one}'`)
    await second!.query(`SET ${name} = '${other}'`)
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await show(first!, name), one)
      assert.equal(await show(second!, name), other)
    }
    assert.equal(first!.parameters.get(name), one)
    assert.equal(second!.parameters.get(name), other)
  })

  test(`${name} follows each client, given at startup, and RESET goes back there`, async () => {
    const first = await bed.open({ parameters: { [name]: one } })
    const second = await bed.open({ parameters: { [name]: other } })
    const plain = await bed.open()
    assert.equal(first.parameters.get(name), one)
    const usual = await show(plain, name)
    for (let round = 0; round < 3; round += 1) {
      assert.equal(await show(first, name), one)
      assert.equal(await show(second, name), other)
      assert.equal(await show(plain, name), usual)
    }
    await first.query(`SET ${name} = '${other}'`)
    assert.equal(await show(first, name), other)
    await first.query(`RESET ${name}`)
    assert.equal(await show(first, name), one)
    assert.equal(first.parameters.get(name), one)
    await first.query(`SET ${name} = '${other}'`)
    await first.query('DISCARD ALL')
    assert.equal(await show(first, name), one)
    assert.equal(await show(plain, name), usual)
  })
}

test('a parameter that is not reported may be given at startup, and stays with its client', async () => {
  const first = await bed.open({
    parameters: { statement_timeout: '77s', search_path: 'pg_catalog', extra_float_digits: '2' },
  })
  const second = await bed.open()
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await show(first, 'statement_timeout'), '77s')
    assert.equal(await show(first, 'search_path'), 'pg_catalog')
    assert.equal(await show(first, 'extra_float_digits'), '2')
    assert.notEqual(await show(second, 'statement_timeout'), '77s')
    assert.notEqual(await show(second, 'search_path'), 'pg_catalog')
  }
  await first.goodbye()
  assert.notEqual(await show(second, 'statement_timeout'), '77s')
})

test('settings nobody gave before, tried on a server connection that carries those of another client', async () => {
  const first = await bed.open({ parameters: { statement_timeout: '78s', work_mem: '5MB' } })
  assert.equal(await show(first, 'statement_timeout'), '78s')
  const second = await bed.open({ parameters: { geqo: 'off', work_mem: '6MB' } })
  const plain = await bed.open()
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await show(second, 'statement_timeout'), '0')
    assert.equal(await show(second, 'work_mem'), '6MB')
    assert.equal(await show(plain, 'statement_timeout'), '0')
    assert.equal(await show(first, 'statement_timeout'), '78s')
    assert.equal(await show(first, 'work_mem'), '5MB')
    assert.equal(await show(plain, 'geqo'), 'on')
  }
})

test('parameters in the startup option `options` count, with their escapes', async () => {
  const options = String.raw`-c statement_timeout=66s --application_name=two\ words -c geqo=off`
  const first = await bed.open({ parameters: { options } })
  const second = await bed.open()
  for (let round = 0; round < 3; round += 1) {
    assert.equal(await show(first, 'statement_timeout'), '66s')
    assert.equal(await show(first, 'application_name'), 'two words')
    assert.equal(await show(first, 'geqo'), 'off')
    assert.equal(await show(second, 'geqo'), 'on')
  }
})

test('a parameter of an application may be given at startup', async () => {
  const first = await bed.open({ parameters: { 'app.tenant': '42' } })
  const second = await bed.open()
  for (let round = 0; round < 2; round += 1) {
    assert.equal(await show(first, 'app.tenant'), '42')
    assert.equal(onlyValue(await second.query(`SELECT coalesce(current_setting('app.tenant', true), '')`)), '')
  }
})

test('a parameter that is not there, or has a wrong value, fails its client and nobody else', async () => {
  for (const parameters of [
    { there_is_no_such: '1' },
    { statement_timeout: 'soon' },
    { client_encoding: 'KLINGON' },
    { is_superuser: 'on' },
    { server_version: '9.6' },
  ]) {
    const attempt = async (): Promise<string[]> => {
      const client = await bed.open({ parameters: parameters as unknown as Record<string, string> })
      return sqlstatesOf(await client.query('SELECT 1'))
    }
    const sqlstates = await attempt().catch((error: { sqlstate: string }) => [error.sqlstate])
    assert.equal(sqlstates.length, 1, JSON.stringify(parameters))
    assert.match(sqlstates[0]!, /^(42704|22023|55P02)$/, JSON.stringify(parameters))
    assert.equal(onlyValue(await (await bed.open()).query('SELECT 1')), '1')
  }
})

test('a value that builds on the one before builds on that of a fresh connection', async () => {
  const other = await bed.open()
  const usual = await show(other, 'DateStyle')
  assert.equal(usual, 'ISO, MDY')
  await other.query(`SET DateStyle = 'German, DMY'`)
  const client = await bed.open({ parameters: { DateStyle: 'ISO' } })
  assert.equal(client.parameters.get('DateStyle'), usual)
  assert.equal(onlyValue(await client.query(`SELECT '01/02/2024'::date`)), '2024-01-02')
})

for (const parameters of [{ seed: '0.5' }, { transaction_read_only: 'on', transaction_isolation: 'serializable' }]) {
  test(`${Object.keys(parameters)} given at startup concerns nobody else`, async () => {
    const client = await bed.open({ parameters: parameters as unknown as Record<string, string> })
    const other = await bed.open()
    for (let round = 0; round < 2; round += 1) {
      assert.equal(onlyValue(await client.query('SELECT 1')), '1')
      assert.equal(await show(other, 'transaction_isolation'), 'read committed')
      assert.equal(onlyValue(await other.query('CREATE TEMP TABLE t (); SELECT 2')), '2')
      await other.query('DROP TABLE t')
    }
  })
}

test('a client does not hear of parameters that others changed', { skip: isDirect && 'of the pool' }, async () => {
  const [first, second] = await bed.openMany(2)
  for (let round = 0; round < 3; round += 1) {
    await first!.query(`SET application_name = 'noise ${round}'`)
    const answer = await second!.query('SELECT 1')
    assert.deepEqual(answer.filter((message) => message.type === 'S').map(String), [])
  }
})

test('a parameter changed in a transaction is undone by ROLLBACK, and the client hears of it', async () => {
  const [first, second] = await bed.openMany(2)
  await first!.query(`SET TimeZone = 'Asia/Tokyo'`)
  await first!.query('BEGIN')
  await first!.query(`SET TimeZone = 'America/Bogota'`)
  assert.equal(first!.parameters.get('TimeZone'), 'America/Bogota')
  await first!.query('ROLLBACK')
  assert.equal(first!.parameters.get('TimeZone'), 'Asia/Tokyo')
  assert.notEqual(await show(second!, 'TimeZone'), 'Asia/Tokyo')
  assert.equal(await show(first!, 'TimeZone'), 'Asia/Tokyo')
})

test('PostgreSQL shows the application_name of the client whom a server connection serves', async () => {
  const clients = await Promise.all(
    ['red', 'green', 'blue'].map((name) => bed.open({ parameters: { application_name: name } })),
  )
  for (const [at, name] of ['red', 'green', 'blue', 'red'].entries()) {
    const sql = 'SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()'
    assert.equal(onlyValue(await clients[at % 3]!.query(sql)), name)
  }
})

test('values with quotes and backslashes are values, not SQL', async () => {
  const nasty = `it's a \\ "name"'; DROP TABLE x; --`
  const first = await bed.open({ parameters: { application_name: nasty } })
  const second = await bed.open()
  for (let round = 0; round < 2; round += 1) {
    await second.query('SELECT 1')
    assert.equal(await show(first, 'application_name'), nasty)
  }
  await first.query(`SET application_name = E'${nasty.replaceAll('\\', '\\\\').replaceAll("'", "''")}'`)
  await second.query('SELECT 1')
  assert.equal(await show(first, 'application_name'), nasty)
})

test('the session is in the time zone of its client in the extended protocol, too', async () => {
  const first = await bed.open({ parameters: { TimeZone: 'Asia/Tokyo' } })
  const second = await bed.open({ parameters: { TimeZone: 'UTC' } })
  for (const [client, hour] of [
    [first, '09'],
    [second, '00'],
    [first, '09'],
  ] as const) {
    const answer = await client.exchange(wire.extendedQuery(`SELECT '1970-01-01 00:00+00'::timestamptz::text`))
    assert.match(rowsOf(answer)[0]?.[0] ?? '', new RegExp(` ${hour}:`))
  }
})

test('role and database defaults count, as for any session', async () => {
  await bed.cluster.sql(`ALTER ROLE ${bed.role.user} SET work_mem = '6MB'`)
  try {
    const client = await bed.open({ database: bed.database })
    if (!isDirect) await bed.console.query('RECONNECT')
    assert.equal(await show(client, 'work_mem'), '6MB')
    await client.query(`SET work_mem = '7MB'`)
    await client.query('RESET work_mem')
    assert.equal(await show(client, 'work_mem'), '6MB')
  } finally {
    await bed.cluster.sql(`ALTER ROLE ${bed.role.user} RESET work_mem`)
  }
})

test('RESET to a value of the startup packet is told of before ReadyForQuery, whatever the server had', async () => {
  const client = await bed.open({ parameters: { client_encoding: 'LATIN1' } })
  for (const reset of ['RESET client_encoding', 'DISCARD ALL']) {
    // That is the server's own default, so there it is no change.
    await client.query(`SET client_encoding = 'UTF8'`)
    const answer = await client.query(reset)
    assert.equal(answer.map(({ type }) => type).join(''), 'CSZ', reset)
    assert.equal(client.parameters.get('client_encoding'), 'LATIN1', reset)
  }
})
