import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { runProgram, skipWithout } from '../support/installed-program.ts'
import { CONSOLE } from '../support/router-settings.ts'
import { temporaryDirectory } from '../support/temporary-directory.ts'
import { isDirect, Testbed } from '../support/testbed.ts'

const skip = skipWithout('psql')
const files = temporaryDirectory()
const bed = await Testbed.open()

/** Output of psql for a script on its input; fails when psql does. */
async function psql(
  script: string,
  args: readonly string[] = [],
  as: { user: string; password: string; database?: string } = bed.role,
) {
  const { host, port } = bed.address
  const env = {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: as.user,
    PGPASSWORD: as.password,
    PGDATABASE: as.database ?? bed.database,
    PGCONNECT_TIMEOUT: '10',
    PGSSLMODE: 'prefer',
    PGOPTIONS: '',
  }
  const { status, stdout, stderr } = await runProgram('psql', ['-X', '-v', 'ON_ERROR_STOP=1', ...args], {
    env,
    input: script,
  })
  assert.equal(status, 0, stderr)
  return stdout.trim()
}

test('a query', { skip }, async () => {
  assert.equal(await psql('SELECT 6 * 7;', ['-At']), '42')
})

test('a connection string, as npm start prints it', { skip }, async () => {
  const { host, port } = bed.address
  const url = `postgresql://${bed.role.user}:${bed.role.password}@${host}:${port}/${bed.database}`
  const { status, stdout } = await runProgram('psql', ['-X', '-At', '-c', 'SELECT current_user', url])
  assert.equal(status, 0)
  assert.equal(stdout.trim(), bed.role.user)
})

test('a script with a transaction, an error that stops it, and a non-zero exit', { skip }, async () => {
  await psql('CREATE TABLE scripted (x int);')
  await assert.rejects(psql('BEGIN; INSERT INTO scripted VALUES (1); SELECT 1/0; COMMIT;'))
  assert.equal(await psql('SELECT count(*) FROM scripted;', ['-At']), '0')
})

test('what psql asks for by its backslash commands', { skip }, async () => {
  await psql('CREATE TABLE described (id int PRIMARY KEY, name text NOT NULL);')
  assert.match(await psql('\\d described'), /id.*integer.*not null/s)
  assert.match(await psql('\\conninfo'), new RegExp(bed.database))
  for (const command of ['\\dt', '\\dn', '\\df pg_catalog.abs', '\\encoding', '\\timing']) {
    assert.ok((await psql(command)).length > 0, command)
  }
})

test('\\copy in and out', { skip }, async () => {
  const file = join(files, 'rows.csv')
  writeFileSync(file, Array.from({ length: 5_000 }, (_, n) => `${n},"row, ${n}"\n`).join(''))
  await psql(`CREATE TABLE loaded (n int, x text);\n\\copy loaded FROM '${file}' CSV\n`)
  assert.equal(await psql('SELECT count(*), max(x) FROM loaded;', ['-At']), '5000|row, 999')
  const out = await psql('\\copy (SELECT n FROM loaded ORDER BY n LIMIT 3) TO STDOUT', ['-At'])
  assert.equal(out, '0\n1\n2')
})

test('rows in portions (FETCH_COUNT), variables, \\gset and \\watch', { skip }, async () => {
  const script = `\\set FETCH_COUNT 100\nSELECT i FROM generate_series(1, 1000) i;\nSELECT 5 AS five \\gset\nSELECT :five + 1;\n`
  const lines = (await psql(script, ['-At'])).split('\n')
  assert.equal(lines.length, 1001)
  assert.equal(lines.at(-1), '6')
})

test('prepared statements and cursors in SQL', { skip }, async () => {
  const script = `PREPARE p (int) AS SELECT $1 * 2;\nEXECUTE p(21);\nBEGIN;\nDECLARE c CURSOR FOR SELECT generate_series(1, 5);\nFETCH 2 FROM c;\nCLOSE c;\nCOMMIT;\n`
  assert.equal(await psql(script, ['-Atq']), '42\n1\n2')
})

test('several -c in one call', { skip }, async () => {
  const out = await psql('', [
    '-Atq',
    '-c',
    `SET TimeZone = 'Asia/Tokyo'`,
    '-c',
    'SHOW TimeZone',
    '-c',
    'SELECT 1; SELECT 2',
  ])
  assert.equal(out, 'Asia/Tokyo\n1\n2')
})

test('the console: SHOW as a table, \\watch, tab-free output', {
  skip: skip || (isDirect && 'of the router'),
}, async () => {
  const console = { ...CONSOLE, database: 'switchyard' }
  assert.match(await psql('SHOW POOLS;', [], console), /cl_active/)
  assert.match(await psql('SHOW VERSION', ['-At'], console), /^Switchyard/)
  await assert.rejects(psql('SHOW NONSENSE;', [], console))
  assert.match(await psql('RELOAD;', [], { ...console, database: 'pgbouncer' }), /RELOAD/)
})
