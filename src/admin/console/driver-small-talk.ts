import { settingName } from './session-settings.ts'
import type { SessionEffect, Statement, StatementContext } from './statement.ts'
import type { Column, Value } from './table.ts'
import type { Token } from './tokens.ts'

/**
 * What drivers and tools say to any PostgreSQL server without being asked to: transactions around everything, settings
 * at login, "are you there", cleaning up before a connection goes back to a pool. Null for anything else.
 */
export function smallTalk(tokens: readonly Token[]): Statement | null {
  const words = tokens.map(({ value }) => value)
  switch (tokens[0]?.kind === 'word' ? words[0] : undefined) {
    case 'begin':
      return quiet('BEGIN', { kind: 'begin' })
    case 'start':
      return words[1] === 'transaction' ? quiet('START TRANSACTION', { kind: 'begin' }) : null
    case 'commit':
    case 'end':
      return quiet('COMMIT', { kind: 'commit' })
    case 'rollback':
    case 'abort':
      return words.includes('to') ? null : quiet('ROLLBACK', { kind: 'rollback' })
    case 'deallocate':
      return deallocate(tokens.slice(words[1] === 'prepare' ? 2 : 1))
    case 'discard':
      return words[1] === 'all' ? quiet('DISCARD ALL', { kind: 'deallocate', name: null }) : quiet('DISCARD')
    case 'reset':
      return quiet('RESET')
    case 'close':
      return words[1] === 'all' ? quiet('CLOSE CURSOR ALL') : null
    case 'unlisten':
      return quiet('UNLISTEN')
    case 'set':
      return setStatement(words.slice(1))
    case 'show':
      return showSetting(words.slice(1))
    case 'select':
      return cannedSelect(words.slice(1).join(' '))
    default:
      return null
  }
}

function quiet(tag: string, effect: SessionEffect | null = null): Statement {
  return { text: tag, tag, columns: null, effect, slow: false, run: async () => ({ rows: [], notices: [] }) }
}

function oneValue(tag: string, column: Column, value: (context: StatementContext) => Value): Statement {
  return {
    text: tag,
    tag,
    columns: [column],
    effect: null,
    slow: false,
    run: async (context) => ({ rows: [[value(context)]], notices: [] }),
  }
}

function deallocate(name: readonly Token[]): Statement | null {
  const [first] = name
  if (first === undefined || name.length > 1) return null
  if (first.kind === 'word' && first.value === 'all') {
    return quiet('DEALLOCATE ALL', { kind: 'deallocate', name: null })
  }
  return quiet('DEALLOCATE', { kind: 'deallocate', name: first.value })
}

/** https://www.postgresql.org/docs/current/sql-set.html */
function setStatement(words: readonly string[]): Statement | null {
  if (words[0] === 'transaction' || (words[0] === 'session' && words[1] === 'characteristics')) return quiet('SET')
  const [name, ...rest] = words[0] === 'session' || words[0] === 'local' ? words.slice(1) : words
  if (name === 'time' && rest[0] === 'zone') return setOf('TimeZone', rest.slice(1))
  if (name === 'names') return setOf('client_encoding', rest)
  if (name === undefined || (rest[0] !== 'to' && rest[0] !== '=')) return null
  return setOf(name, rest.slice(1))
}

function setOf(name: string, value: readonly string[]): Statement | null {
  if (value.length === 0) return null
  return quiet('SET', { kind: 'set', name, value: value.join(' ').replaceAll(' , ', ', ') })
}

function showSetting(words: readonly string[]): Statement | null {
  const asked = words.join(' ')
  const name = settingName(SETTING_ALIASES.get(asked) ?? asked)
  if (name === null) return null
  return oneValue('SHOW', { name, type: 'text' }, ({ settings }) => settings.get(name))
}

const SETTING_ALIASES: ReadonlyMap<string, string> = new Map([
  ['transaction isolation level', 'transaction_isolation'],
  ['time zone', 'TimeZone'],
])

const bool = (name: string): Column => ({ name, type: 'bool' })
const text = (name: string): Column => ({ name, type: 'text' })

function cannedSelect(expression: string): Statement | null {
  if (/^\d{1,9}$/.test(expression))
    return oneValue('SELECT', { name: '?column?', type: 'int4' }, () => Number(expression))
  switch (expression.replace(/^pg_catalog \. /, '')) {
    case 'version ( )':
      return oneValue('SELECT', text('version'), ({ control }) => `Switchyard ${control.version} admin console`)
    case 'current_database ( )':
      return oneValue('SELECT', text('current_database'), ({ database }) => database)
    case 'current_user':
    case 'session_user':
      return oneValue('SELECT', text(expression), ({ user }) => user)
    case 'pg_is_in_recovery ( )':
      return oneValue('SELECT', bool('pg_is_in_recovery'), () => false)
    case 'pg_advisory_unlock_all ( )':
      return oneValue('SELECT', text('pg_advisory_unlock_all'), () => '')
  }
  // postgres.js asks for the array types once per connection, and an error there reaches no handler of the application.
  return expression.startsWith('b . oid , b . typarray from pg_catalog . pg_type') ? noArrayTypes() : null
}

function noArrayTypes(): Statement {
  const columns: readonly Column[] = [
    { name: 'oid', type: 'int4' },
    { name: 'typarray', type: 'int4' },
  ]
  return {
    text: 'SELECT',
    tag: 'SELECT',
    columns,
    effect: null,
    slow: false,
    run: async () => ({ rows: [], notices: [] }),
  }
}
