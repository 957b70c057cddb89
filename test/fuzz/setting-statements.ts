import fc from 'fast-check'
import { type Statement, statement, type Trait, withValues } from './statement.ts'

/** Settings that the server reports, with values that it takes and shows in its own way. */
const REPORTED: Readonly<Record<string, readonly string[]>> = {
  application_name: ['alpha', "it's beta", 'gamma\\delta'],
  DateStyle: ['ISO, DMY', 'German', 'SQL, MDY'],
  IntervalStyle: ['iso_8601', 'postgres_verbose'],
  TimeZone: ['America/New_York', 'Asia/Kolkata', 'UTC'],
  client_encoding: ['LATIN1', 'UTF8'],
  default_transaction_read_only: ['on', 'off'],
  search_path: ['public', '"$user", public', 'pg_catalog, public'],
}

/** Settings that nobody is told of. */
const UNREPORTED: Readonly<Record<string, readonly string[]>> = {
  work_mem: ['5MB', '1234kB'],
  statement_timeout: ['10s', '60000'],
  extra_float_digits: ['0', '-3'],
  bytea_output: ['escape', 'hex'],
  client_min_messages: ['warning', 'error', 'notice'],
  default_transaction_isolation: ['repeatable read', 'read committed'],
  'app.tenant': ['t1', 't2', ''],
  'app.user_name': ["O'Brien", 'someone'],
}

const SETTINGS = { ...REPORTED, ...UNREPORTED }
/** All settings that programs may set. */
export const NAMES: readonly string[] = Object.keys(SETTINGS)
const BUILT_IN = NAMES.filter((name) => !name.includes('.'))

/** PostgreSQL's own quoting, whatever the value. */
function literal(value: string): string {
  return `${value.includes('\\') ? ' E' : ''}'${value.replaceAll("'", "''").replaceAll('\\', '\\\\')}'`
}

/** What is written behind TO: a list for the settings that are lists, else one literal. */
function operand(name: string, value: string): string {
  return name === 'search_path' || name === 'DateStyle' ? value : literal(value)
}

const pair: fc.Arbitrary<readonly [string, string]> = fc
  .constantFrom(...NAMES)
  .chain((name) => fc.tuple(fc.constant(name), fc.constantFrom(...(SETTINGS[name] as readonly string[]))))

const assignment: fc.Arbitrary<Statement> = fc
  .tuple(pair, fc.constantFrom('SET %n TO %v', 'SET %n = %v', 'set session %n to %v', 'SET LOCAL %n TO %v'))
  .map(([[name, value], form]) => statement(form.replace('%n', () => name).replace('%v', () => operand(name, value))))

const call: fc.Arbitrary<Statement> = fc
  .tuple(pair, fc.boolean(), fc.boolean())
  .map(([[name, value], local, parameters]) =>
    parameters
      ? withValues(statement(`SELECT set_config($1, $2, ${local})`, ...computedPins(local)), name, value)
      : statement(`SELECT set_config('${name}', ${literal(value)}, ${local})`),
  )

/** Which setting that is, only the server knows. */
function computedPins(local: boolean): readonly Trait[] {
  return local ? [] : ['pins']
}

const reset: fc.Arbitrary<Statement> = fc
  .tuple(fc.constantFrom(...NAMES), fc.constantFrom('RESET %n', 'SET %n TO DEFAULT', 'SET LOCAL %n TO DEFAULT'))
  .map(([name, form]) => statement(form.replace('%n', name), 'resets'))

const special: fc.Arbitrary<Statement> = fc.constantFrom(
  statement('RESET ALL', 'resets'),
  statement("SET TIME ZONE 'Europe/Paris'"),
  statement("SET TIME ZONE INTERVAL '+03:30' HOUR TO MINUTE"),
  statement('SET TIME ZONE LOCAL', 'resets'),
  statement("SET NAMES 'LATIN1'"),
  statement('SET NAMES DEFAULT', 'resets'),
  statement("SET SCHEMA 'pg_catalog'"),
  statement('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY'),
  statement('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ WRITE'),
  statement('SET TRANSACTION READ ONLY'),
  statement('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'isolates'),
  statement('SET ROLE fuzz_reader'),
  statement('SET LOCAL ROLE fuzz_reader'),
  statement("SET ROLE 'fuzz_writer'"),
  statement('SET ROLE NONE'),
  statement('RESET ROLE'),
  statement('SET ROLE nobody_at_all'),
  statement('SET SESSION AUTHORIZATION fuzz_writer'),
  statement('SET LOCAL SESSION AUTHORIZATION fuzz_reader'),
  statement('SET SESSION AUTHORIZATION DEFAULT'),
  statement('RESET SESSION AUTHORIZATION'),
  statement("SET work_mem TO 'banana'"),
  statement('SET nonsense TO 1'),
  statement("SET TimeZone TO 'Mars/Olympus'"),
  statement('SET server_version TO 1', 'pins'),
  statement("SELECT remember('app.tenant', 'from a function')", 'pins'),
  statement("SELECT remember('work_mem', '7MB')", 'pins'),
  statement("SELECT remember('application_name', 'from a function')", 'pins'),
  statement('INSERT INTO marked VALUES (:me)', 'pins'),
  withValues(statement('INSERT INTO marked SELECT n FROM generate_series(1, $1::int) n', 'pins'), '2'),
  statement('SELECT seen FROM glance', 'pins'),
  statement("DO $$ BEGIN PERFORM set_config('app.tenant', 'from a block', false); END $$", 'pins'),
  statement("DO $$ BEGIN SET LOCAL work_mem = '6MB'; SET app.user_name = 'block'; END $$", 'pins'),
  statement("WITH x AS (SELECT set_config('app.tenant', 'from a query', false) AS v) SELECT v FROM x", 'pins'),
  statement('SELECT setseed(0.25)', 'pins'),
  statement("UPDATE pg_settings SET setting = '7MB' WHERE name = 'work_mem'", 'pins'),
  statement("WITH u AS (SELECT 'x') UPDATE pg_settings SET setting = 'German' WHERE name = 'DateStyle'", 'pins'),
  statement("SELECT set_config('role', 'fuzz_reader', false)"),
  statement("SELECT set_config('role', 'none', true)"),
  statement("SELECT set_config('session_authorization', 'fuzz_reader', false)"),
  statement('SET work_mem = 8192'),
  statement('SET "statement_timeout" TO \'1min\''),
  statement("SET app.tenant TO 't1', 't2'"),
  statement('SET app.tenant = t5'),
  statement("SET TimeZone TO '+02'"),
  statement('SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, NOT DEFERRABLE'),
  statement("SELECT current_setting('no.such_setting')"),
  statement('SHOW nonsense'),
)

/**
 * Reading. A setting of one's own making that was never set is unknown to a fresh connection and empty to one where
 * anybody has set it before, even after RESET; so `SHOW` of those is left out, and NULL is read as empty.
 */
const reading: fc.Arbitrary<Statement> = fc.oneof(
  fc.constantFrom(...BUILT_IN).map((name) => statement(`SHOW ${name}`)),
  fc.constantFrom(...BUILT_IN).map((name) => statement(`SELECT current_setting('${name}')`)),
  fc.constantFrom(...BUILT_IN).map((name) => withValues(statement('SELECT current_setting($1)'), name)),
  fc.constantFrom(...BUILT_IN).map((name) => statement(`SELECT setting, unit FROM pg_settings WHERE name = '${name}'`)),
  fc
    .constantFrom('app.tenant', 'app.user_name')
    .map((name) => statement(`SELECT coalesce(current_setting('${name}', true), '') AS value`)),
  fc.constantFrom(
    statement('SHOW TIME ZONE'),
    statement('SHOW transaction_isolation'),
    statement('SHOW transaction_read_only'),
    statement('SHOW SESSION AUTHORIZATION'),
    statement('SELECT current_user, session_user, current_role'),
    statement('SELECT tenant, content FROM secret ORDER BY content'),
    statement("SELECT '2024-07-01 12:00+00'::timestamptz AS t, '1 day 02:00'::interval AS i"),
    statement("SELECT 0.1::float8 / 3 AS f, '\\x00ff41'::bytea AS b, 'é' AS e"),
    statement('SELECT current_schemas(false)'),
  ),
)

/** SET and everything else that changes a setting, and every way of reading one. */
export const settingStatement: fc.Arbitrary<Statement> = fc.oneof(
  { weight: 6, arbitrary: assignment },
  { weight: 3, arbitrary: call },
  { weight: 4, arbitrary: reset },
  { weight: 4, arbitrary: special },
  { weight: 9, arbitrary: reading },
)
