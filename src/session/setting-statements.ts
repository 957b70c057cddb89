/** What statements for a server connection must take into account. */
export interface Dialect {
  /** Who it is logged in as. */
  readonly user: string
  readonly isSuperuser: boolean
  /** The database has no encoding: bytes are stored as they come. */
  readonly isRaw: boolean
}

/** A session's own time for its statements is not for ours: gone with the transaction that the text is. */
export const STATEMENT_TIMEOUT = 'statement_timeout'
export const UNHURRIED: string = `SET LOCAL ${STATEMENT_TIMEOUT} TO 0;`

type Values = ReadonlyMap<string, string>

/** SET would read a list in one literal as one name, so these go through set_config. */
const QUOTED_LISTS = new Set([
  'search_path',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
])
/** Who the session is; the first resets the second. */
const USER = 'session_authorization'
const ROLE = 'role'
const HAS_ITS_PLACE: ReadonlySet<string> = new Set([USER, ROLE, STATEMENT_TIMEOUT])
/** There is nothing to go back to: RESET fails. */
const SEED = 'seed'

/**
 * The statements that turn a session with the settings `from` into one with `to`; a setting without a value is at its
 * default. A role decides what may be set: a superuser sets everything before it becomes somebody else, anybody else may
 * need the role's rights for the rest.
 */
export function statementsBetween(from: Values, to: Values, dialect: Dialect): string[] {
  const statements = unhurriedStatements(from, to, dialect)
  const time = to.get(STATEMENT_TIMEOUT)
  if (from.get(STATEMENT_TIMEOUT) !== time) statements.push(setOrReset(STATEMENT_TIMEOUT, to, dialect))
  return statements
}

/** All but the session's time for its statements, which must not count for the others. */
function unhurriedStatements(from: Values, to: Values, dialect: Dialect): string[] {
  const rest = plainStatements(from, to, dialect)
  const isSame = from.get(USER) === to.get(USER) && from.get(ROLE) === to.get(ROLE)
  const { user, isSuperuser } = dialect
  if (isSame && (!isSuperuser || rest.length === 0 || (!to.has(ROLE) && (to.get(USER) ?? user) === user))) return rest
  const become = [USER, ROLE]
    .filter((name) => from.has(name) || to.has(name))
    .map((name) => setOrReset(name, to, dialect))
  return isSuperuser ? [`RESET "${USER}"`, `RESET "${ROLE}"`, ...rest, ...become] : [...become, ...rest]
}

function plainStatements(from: Values, to: Values, dialect: Dialect): string[] {
  const statements: string[] = []
  for (const name of from.keys()) {
    if (!to.has(name) && !HAS_ITS_PLACE.has(name) && name !== SEED) statements.push(setOrReset(name, to, dialect))
  }
  for (const [name, value] of to) {
    if (from.get(name) !== value && !HAS_ITS_PLACE.has(name)) statements.push(setOrReset(name, to, dialect))
  }
  return statements
}

function setOrReset(name: string, to: Values, dialect: Dialect): string {
  const value = to.get(name)
  if (value === undefined && isAscii(name)) return `RESET ${quoteName(name)}`
  const text = value === undefined ? 'NULL' : quoteText(value, dialect)
  // A name that is not ASCII cannot be escaped, but a literal can; NULL resets.
  if (QUOTED_LISTS.has(name) || !isAscii(name)) {
    return `SELECT pg_catalog.set_config(${quoteText(name, dialect)},${text},false)`
  }
  return `SET ${quoteName(name)} TO ${text}`
}

/** `app.tenant` is two names. */
function quoteName(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}

const isAscii = (text: string): boolean => /^[\0-\x7f]*$/.test(text)

/** A literal in ASCII that is safe whatever standard_conforming_strings is. */
export function quoteText(value: string, dialect: Dialect | null = null): string {
  const quoted = `'${value.replaceAll("'", "''")}'`
  if (dialect?.isRaw || isAscii(value)) return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
  return ` E${quoted.replaceAll('\\', '\\\\').replace(/[^\0-\x7f]/gu, escapeCharacter)}`
}

function escapeCharacter(character: string): string {
  return `\\U${(character.codePointAt(0) as number).toString(16).padStart(8, '0')}`
}
