import { PIN, type PinReason } from '../memory/client-slots.ts'
import { quoteText, STATEMENT_TIMEOUT, UNHURRIED } from './setting-statements.ts'
import { readSqlStatement, type SqlStatement, sqlStatementsSql } from './sql-statement.ts'

/** What a server connection is asked about the state of its session. */
export interface Inquiry {
  /** Names of settings of applications (`app.tenant`), which no view lists. */
  readonly customs: readonly string[]
  /** All other settings that were set in the session, and its role. */
  readonly settings: boolean
  /** Names of settings that a session may be forbidden to see: the inquiry fails then, rather than overlook them. */
  readonly named: readonly string[]
  /** The session's own statement_timeout, which is known, does not count for the question. */
  readonly timeout: string | null
  /** Whatever else may lie in the server connection. */
  readonly leftovers: boolean
  /** Statements that the session has prepared in SQL. */
  readonly statements: boolean
  /** Settings of applications that functions and policies of the database name: they are asked for as well. */
  readonly scan: boolean
}

/** What it answered. */
export interface Findings {
  /** Settings with a value of the session's own, by lower-case name; null when that was not asked. */
  readonly settings: ReadonlyMap<string, string> | null
  /** Values of the settings of applications; null for one that is not there. */
  readonly customs: ReadonlyMap<string, string | null>
  /** `none` or a role's name; null when that was not asked. */
  readonly role: string | null
  /** PIN bits of what lies in the server connection. */
  readonly pins: number
  /** Prepared in SQL, by name; empty when that was not asked. */
  readonly statements: readonly SqlStatement[]
}

/** The names of settings of applications in a text, as the second capture has it. */
const CUSTOM_NAME = `(set_config|current_setting)\\s*\\(\\s*''([a-z_][a-z0-9_$]*(?:\\.[a-z_][a-z0-9_$]*)+)''`

/** What lies in a server connection, and how to find out. Transactions of others are of no importance here. */
const LEFTOVERS: readonly (readonly [PinReason, string])[] = [
  [
    'temporaryObject',
    `SELECT FROM pg_catalog.pg_depend WHERE refclassid OPERATOR(pg_catalog.=) 2615` +
      ` AND refobjid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema()`,
  ],
  [
    'advisoryLock',
    `SELECT FROM pg_catalog.pg_locks WHERE locktype OPERATOR(pg_catalog.=) 'advisory'` +
      ` AND pid OPERATOR(pg_catalog.=) pg_catalog.pg_backend_pid()`,
  ],
  ['holdCursor', `SELECT FROM pg_catalog.pg_cursors WHERE is_holdable`],
  ['sqlPrepare', `SELECT FROM pg_catalog.pg_prepared_statements WHERE from_sql`],
  ['listen', `SELECT FROM pg_catalog.pg_listening_channels()`],
]

/** Text comes as hexadecimal UTF-8, so that the client_encoding of the moment is of no importance. */
const hexOf = (value: string): string => `pg_catalog.encode(pg_catalog.convert_to(${value},'UTF8'),'hex')`

const current = (name: string): string => `pg_catalog.current_setting(${name},true)`

/**
 * One statement that answers an inquiry, in rows of kind, name and value. Names are qualified: the session's search_path may
 * be anything.
 */
export function inquirySql(inquiry: Inquiry): string {
  return `${inquiry.timeout === null ? '' : UNHURRIED}${question(inquiry)}`
}

function question(inquiry: Inquiry): string {
  const values = inquiry.customs.map(
    (name) => `('c','${Buffer.from(name).toString('hex')}',${hexOf(current(quoteText(name)))})`,
  )
  if (!inquiry.settings) return `VALUES ${values.join(',')}`
  values.push(`('r','',${hexOf(current("'role'"))})`)
  for (const name of inquiry.named) values.push(`('n','',${hexOf(current(quoteText(name)))})`)
  const parts = [
    // SET TRANSACTION outside of one leaves its settings there, which cannot be RESET and are nobody's.
    `SELECT 's',${hexOf('name')},${hexOf('setting')} FROM pg_catalog.pg_settings` +
      ` WHERE source OPERATOR(pg_catalog.=) 'session' AND name OPERATOR(pg_catalog.!~) '^transaction_(isolation|read_only|deferrable)$'`,
    `VALUES ${values.join(',')}`,
  ]
  if (inquiry.leftovers) {
    for (const [reason, query] of LEFTOVERS) parts.push(`SELECT 'p','${reason}',NULL WHERE EXISTS(${query})`)
  }
  if (inquiry.statements) parts.push(sqlStatementsSql(hexOf))
  if (inquiry.scan) parts.push(scanSql())
  return parts.join(' UNION ALL ')
}

/** Names that functions, policies and defaults of roles and databases use, with their values. */
function scanSql(): string {
  const named = (text: string, from: string): string =>
    `SELECT pg_catalog.lower(m[2]) AS name FROM (SELECT ${text} AS t FROM ${from}) AS texts,` +
    ` pg_catalog.regexp_matches(t,'${CUSTOM_NAME}','gi') AS m WHERE pg_catalog.strpos(t,'set') OPERATOR(pg_catalog.>) 0`
  const names = [
    named('prosrc', `pg_catalog.pg_proc WHERE pronamespace OPERATOR(pg_catalog.<>) 11`),
    named('pg_catalog.pg_get_expr(polqual,polrelid)', 'pg_catalog.pg_policy'),
    named('pg_catalog.pg_get_expr(polwithcheck,polrelid)', 'pg_catalog.pg_policy'),
    `SELECT pg_catalog.lower(pg_catalog.split_part(c,'=',1)) FROM pg_catalog.pg_db_role_setting,` +
      ` pg_catalog.unnest(setconfig) AS c WHERE c OPERATOR(pg_catalog.~) '^[A-Za-z0-9_$]+[.]'`,
  ]
  return `SELECT 'c',${hexOf('name')},${hexOf(current('name'))} FROM (${names.join(' UNION ')}) AS names`
}

/** What the rows mean; null when they are not the answer to that inquiry. */
export function readFindings(inquiry: Inquiry, rows: readonly (readonly (string | null)[])[]): Findings | null {
  const settings = new Map<string, string>()
  const customs = new Map<string, string | null>()
  let role: string | null = null
  const statements: SqlStatement[] = []
  let pins = 0
  if (inquiry.timeout !== null) settings.set(STATEMENT_TIMEOUT, inquiry.timeout)
  for (const [kind, key, hex] of rows) {
    if (typeof key !== 'string' || hex === undefined) return null
    const value = hex === null ? null : decode(hex)
    if (kind === 'c') customs.set(decode(key), value)
    else if (kind === 's' && value !== null) note(settings, inquiry, decode(key).toLowerCase(), value)
    else if (kind === 'r') role = value
    else if (kind === 'q' && value !== null) statements.push(readSqlStatement(decode(key), value))
    else if (kind === 'p') pins |= PIN[key as PinReason]
    else if (kind !== 'n') return null
  }
  const isWhole = inquiry.customs.every((name) => customs.has(name)) && (role !== null) === inquiry.settings
  if (!isWhole) return null
  statements.sort((one, other) => (one.name < other.name ? -1 : 1))
  return { settings: inquiry.settings ? settings : null, customs, role, pins, statements }
}

function note(settings: Map<string, string>, { timeout }: Inquiry, name: string, value: string): void {
  if (timeout === null || name !== STATEMENT_TIMEOUT) settings.set(name, value)
}

const decode = (hex: string): string => Buffer.from(hex, 'hex').toString('utf8')
