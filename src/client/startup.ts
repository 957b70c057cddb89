import { TIER_SETTING } from '../analyzer/tier-hint.ts'
import { parseStartupOptions, type StartupPacket } from '../protocol/startup.ts'
import { isSettable, STARTUP_KEYWORDS } from '../session/parameters.ts'

/** The newest minor version of protocol 3 that we speak. */
export const PROTOCOL_MINOR = 2
/** NAMEDATALEN − 1: PostgreSQL cuts longer names. */
const NAME_BYTES = 63

/** Of the first transaction, which is over when the login is: each transaction begins with those of `default_transaction_…`. */
const OF_TRANSACTION = new Set(['transaction_isolation', 'transaction_read_only', 'transaction_deferrable'])

/** What a client asked for in its startup packet. */
export interface StartupRequest {
  readonly user: string
  readonly database: string
  /** The version to speak: never above ours. */
  readonly minor: number
  /** Names of `_pq_.` options that we do not know; not empty or a newer version: NegotiateProtocolVersion. */
  readonly unknownOptions: readonly string[]
  readonly negotiate: boolean
  readonly replication: string | null
  /** Settings from the packet and its `options`, names in lower case. */
  readonly settings: ReadonlyMap<string, string>
  /** The tier that it asks for, null: none. */
  readonly hint: string | null
}

export type StartupVerdict =
  | { readonly kind: 'request'; readonly request: StartupRequest }
  | { readonly kind: 'refused'; readonly sqlstate: string; readonly message: string }

/** What a startup packet means. Pure; PostgreSQL's words and codes (ProcessStartupPacket). */
export function interpretStartup(packet: StartupPacket & { kind: 'startup' }): StartupVerdict {
  const { parameters, minor } = packet
  const user = cutName(parameters.get('user') ?? '')
  if (user === '') return refused('28000', 'no PostgreSQL user name specified in startup packet')
  const unknownOptions: string[] = []
  const settings = new Map<string, string>()
  for (const [name, value] of parameters) {
    if (name.startsWith('_pq_.')) unknownOptions.push(name)
    else if (!STARTUP_KEYWORDS.has(name)) settings.set(name.toLowerCase(), value)
  }
  const options = parseStartupOptions(parameters.get('options') ?? '')
  if (options === null) {
    return refused('0A000', 'the startup parameter "options" may hold only -c name=value and --name=value')
  }
  for (const [name, value] of options) settings.set(name.toLowerCase(), value)
  const hint = settings.get(TIER_SETTING) ?? null
  for (const name of settings.keys()) {
    // The first would reach parts of us that clients must not reach.
    if (name.startsWith('switchyard.') || OF_TRANSACTION.has(name)) settings.delete(name)
    else if (!isSettable(name)) return refused('55P02', `parameter "${name}" cannot be changed`)
    else if (!/^[a-z_][a-z0-9_$]*(\.[a-z_][a-z0-9_$]*)*$/.test(name)) {
      return refused('42602', `invalid configuration parameter name "${name}"`)
    }
  }
  const replication = parameters.get('replication') ?? 'false'
  const replicates = asksForReplication(replication)
  if (replicates === null) return refused('22023', `invalid value for parameter "replication": "${replication}"`)
  return {
    kind: 'request',
    request: {
      user,
      database: cutName(parameters.get('database') || user),
      minor: Math.min(minor, PROTOCOL_MINOR),
      unknownOptions,
      negotiate: minor > PROTOCOL_MINOR || unknownOptions.length > 0,
      replication: replicates ? replication : null,
      settings,
      hint,
    },
  }
}

function refused(sqlstate: string, message: string): StartupVerdict {
  return { kind: 'refused', sqlstate, message }
}

/** Cuts at a character's border. */
function cutName(name: string): string {
  const bytes = Buffer.from(name)
  if (bytes.length <= NAME_BYTES) return name
  let end = NAME_BYTES
  while (((bytes[end] as number) & 0xc0) === 0x80) end--
  return bytes.toString('utf8', 0, end)
}

/** Whether it asks for a walsender: `database`, or a boolean as PostgreSQL reads them; null for anything else. */
function asksForReplication(text: string): boolean | null {
  if (text === 'database' || /^(t(r(ue?)?)?|y(es?)?|on|1)$/i.test(text)) return true
  return /^(f(a(l(se?)?)?)?|no?|off?|0)$/i.test(text) ? false : null
}
