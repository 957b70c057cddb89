import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RouterError } from '../../errors.ts'
import { reportContextOf, TestRouter } from '../router-control.fixture.ts'
import { smallTalk } from './driver-small-talk.ts'
import { SessionSettings } from './session-settings.ts'
import type { StatementContext } from './statement.ts'
import { splitStatements } from './tokens.ts'

const settings = new SessionSettings('1.2.3', 'alice', 'tool')
const context: StatementContext = {
  ...reportContextOf(new TestRouter()),
  user: 'alice',
  database: 'switchyard',
  access: 'stats',
  settings,
  signal: new AbortController().signal,
}

const talk = (sql: string) => smallTalk(splitStatements(sql)[0] ?? [])

async function answerTo(sql: string): Promise<unknown> {
  const outcome = await talk(sql)?.run(context)
  return [...(outcome?.rows ?? [])][0]?.[0]
}

test('what drivers send around queries is answered with the tag they expect', () => {
  for (const [sql, tag] of [
    ['BEGIN READ ONLY', 'BEGIN'],
    ['start transaction isolation level serializable', 'START TRANSACTION'],
    ['END', 'COMMIT'],
    ['ABORT', 'ROLLBACK'],
    ['DISCARD ALL', 'DISCARD ALL'],
    ['DEALLOCATE ALL', 'DEALLOCATE ALL'],
    ['DEALLOCATE PREPARE "x"', 'DEALLOCATE'],
    ['RESET ALL', 'RESET'],
    ['CLOSE ALL', 'CLOSE CURSOR ALL'],
    ['UNLISTEN *', 'UNLISTEN'],
    ['SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY', 'SET'],
  ]) {
    assert.equal(talk(sql ?? '')?.tag, tag, sql)
  }
})

test('settings are read in any spelling', async () => {
  assert.equal(await answerTo('SHOW timezone'), 'UTC')
  assert.equal(await answerTo('SHOW TIME ZONE'), 'UTC')
  assert.equal(await answerTo('SHOW server_version'), '18.0 (switchyard 1.2.3)')
  assert.equal(await answerTo('SHOW TRANSACTION ISOLATION LEVEL'), 'read committed')
  assert.equal(await answerTo('show transaction_read_only'), 'off')
})

test('a setting is understood in each form of SET', () => {
  for (const [sql, name, value] of [
    ["SET application_name = 'my tool'", 'application_name', 'my tool'],
    ['SET extra_float_digits TO 3', 'extra_float_digits', '3'],
    ['SET LOCAL DateStyle TO ISO, DMY', 'datestyle', 'iso, dmy'],
    ["SET TIME ZONE 'Europe/Berlin'", 'TimeZone', 'Europe/Berlin'],
    ["SET NAMES 'UTF8'", 'client_encoding', 'UTF8'],
  ]) {
    assert.deepEqual(talk(sql ?? '')?.effect, { kind: 'set', name, value }, sql)
  }
  assert.equal(talk('SET application_name'), null)
  assert.equal(talk('SET x ='), null)
})

test('questions about the server have an answer', async () => {
  assert.equal(await answerTo('SELECT 1'), 1)
  assert.equal(await answerTo('SELECT version()'), 'Switchyard 1.2.3 admin console')
  assert.equal(await answerTo('select pg_catalog.pg_is_in_recovery()'), false)
  assert.equal(await answerTo('SELECT current_user'), 'alice')
  assert.equal(await answerTo('SELECT current_database()'), 'switchyard')
})

test('real SQL, and names that every object has, are not small talk', () => {
  for (const sql of ['SELECT * FROM t', 'SELECT 1 + 1', 'SHOW constructor', 'SHOW all', 'LISTEN x', 'ROLLBACK TO a']) {
    assert.equal(talk(sql), null, sql)
  }
})

test("somebody who means to configure Switchyard, or another encoding, is told that it won't", () => {
  const refuses = (name: string, value: string, sqlstate: string): void =>
    assert.throws(
      () => settings.set(name, value),
      (error) => error instanceof RouterError && error.sqlstate === sqlstate,
    )
  refuses('default_pool_size', '50', '42704')
  refuses('server_version', '9', '55P02')
  refuses('client_encoding', 'LATIN1', '22023')
  assert.equal(settings.set('CLIENT_ENCODING', 'utf-8'), 'client_encoding')
  assert.equal(settings.get('client_encoding'), 'UTF8')
  assert.equal(settings.set('statement_timeout', '5'), null)
  assert.equal(settings.get('statement_timeout'), '5')
})
