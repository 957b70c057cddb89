import { quoteText } from './setting-statements.ts'

/** What a server connection is asked about the state of its session. */
export interface Inquiry {
  /** Names of settings of applications (`app.tenant`), which no view lists. */
  readonly customs: readonly string[]
  /** All other settings that were set in the session, and its role. */
  readonly settings: boolean
  /** Names of settings that a session may be forbidden to see: the inquiry fails then, rather than overlook them. */
  readonly named: readonly string[]
}

/** What it answered. */
export interface Findings {
  /** Settings with a value of the session's own, by lower-case name; null when that was not asked. */
  readonly settings: ReadonlyMap<string, string> | null
  /** Values of the settings asked for by name; null for one that is not there. */
  readonly customs: ReadonlyMap<string, string | null>
  /** `none` or a role's name; null when that was not asked. */
  readonly role: string | null
}

/** Values come as hexadecimal UTF-8, so that the client_encoding of the moment is of no importance. */
const text = (value: string): string => `pg_catalog.encode(pg_catalog.convert_to(${value},'UTF8'),'hex')`

const current = (name: string): string => `pg_catalog.current_setting(${quoteText(name)},true)`

/**
 * One statement that answers an inquiry, in rows of kind, name or number, and value. Names are qualified: the session's
 * search_path may be anything.
 */
export function inquirySql(inquiry: Inquiry): string {
  const values = inquiry.customs.map((name, at) => `('c','${at}',${text(current(name))})`)
  if (!inquiry.settings) return `VALUES ${values.join(',')}`
  values.push(`('r','',${text(current('role'))})`)
  for (const name of inquiry.named) values.push(`('n','',${text(current(name))})`)
  return (
    `SELECT 's',name,${text('setting')} FROM pg_catalog.pg_settings WHERE source OPERATOR(pg_catalog.=) 'session'` +
    ` UNION ALL VALUES ${values.join(',')}`
  )
}

/** What the rows mean; null when they are not the answer to that inquiry. */
export function readFindings(inquiry: Inquiry, rows: readonly (readonly (string | null)[])[]): Findings | null {
  const settings = new Map<string, string>()
  const customs = new Map<string, string | null>()
  let role: string | null = null
  for (const [kind, key, hex] of rows) {
    if (key === null || key === undefined || hex === undefined) return null
    const value = hex === null ? null : Buffer.from(hex, 'hex').toString('utf8')
    if (kind === 'c') {
      const name = inquiry.customs[Number(key)]
      if (name === undefined) return null
      customs.set(name, value)
    } else if (kind === 's' && value !== null) settings.set(key.toLowerCase(), value)
    else if (kind === 'r') role = value
    else if (kind !== 'n') return null
  }
  const isWhole = customs.size === inquiry.customs.length && (role !== null) === inquiry.settings
  return isWhole ? { settings: inquiry.settings ? settings : null, customs, role } : null
}
