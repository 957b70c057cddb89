/** What a log says of a session at one moment. Times in milliseconds since 1970. */
export type LogEvent =
  | {
      readonly kind: 'connect'
      readonly time: number
      readonly session: string
      readonly user: string
      readonly database: string
      readonly application: string
      readonly address: string
    }
  | {
      readonly kind: 'statement'
      readonly time: number
      readonly session: string
      readonly tag: string
      readonly ms: number
    }
  | { readonly kind: 'error'; readonly time: number; readonly session: string }
  | { readonly kind: 'end'; readonly time: number; readonly session: string }

export type LogFormat = 'csvlog' | 'jsonlog' | 'pgbouncer'

/** The fields of a record of PostgreSQL's, whichever form it has. */
interface ServerRecord {
  readonly time: number
  readonly user: string
  readonly database: string
  readonly from: string
  readonly session: string
  readonly tag: string
  readonly severity: string
  readonly message: string
  readonly application: string
}

/** Guessed from the beginning of the text. */
export function formatOf(text: string): LogFormat {
  const [line = ''] = text.split('\n', 1)
  if (line.startsWith('{')) return 'jsonlog'
  return /^\d{4}-\d\d-\d\d [\d:.]+ [A-Z+\-0-9:]+ \[\d+\] /.test(line) ? 'pgbouncer' : 'csvlog'
}

/** Events of a log in the order of its lines; what says nothing of a client's session is left out. */
export function* logEvents(text: string, format: LogFormat): Generator<LogEvent> {
  if (format === 'pgbouncer') {
    for (const line of text.split('\n')) yield* pgbouncerEvents(line)
    return
  }
  const known = new Set<string>()
  for (const record of format === 'csvlog' ? csvRecords(text) : jsonRecords(text)) yield* serverEvents(record, known)
}

/** Durations are logged with `log_duration` or `log_min_duration_statement = 0`; texts are not looked at. */
function* serverEvents(record: ServerRecord, known: Set<string>): Generator<LogEvent> {
  const { time, session, message, tag, severity } = record
  if (session === '' || record.user === '') return
  if (!known.has(session)) {
    known.add(session)
    const { user, database, application } = record
    const address = record.from.replace(/:\d+$/, '')
    yield { kind: 'connect', time, session, user, database, application, address: address === '[local]' ? '' : address }
  }
  const duration = /^duration: ([\d.]+) ms/.exec(message)
  // Parse and bind of the extended protocol have durations of their own.
  const isStep = /^duration: [\d.]+ ms {2}(?:parse|bind) /.test(message)
  if (duration !== null && !isStep) yield { kind: 'statement', time, session, tag, ms: Number(duration[1]) }
  else if (severity === 'ERROR') yield { kind: 'error', time, session }
  else if (message.startsWith('disconnection: ')) yield { kind: 'end', time, session }
}

function* jsonRecords(text: string): Generator<ServerRecord> {
  for (const line of text.split('\n')) {
    if (!line.startsWith('{')) continue
    let fields: Record<string, unknown>
    try {
      fields = JSON.parse(line) as Record<string, unknown>
    } catch {
      continue
    }
    const of = (name: string): string => String(fields[name] ?? '')
    yield {
      time: timeOf(of('timestamp')),
      user: of('user'),
      database: of('dbname'),
      from: of('remote_host'),
      session: of('session_id'),
      tag: of('ps'),
      severity: of('error_severity'),
      message: of('message'),
      application: of('application_name'),
    }
  }
}

/** https://www.postgresql.org/docs/current/runtime-config-logging.html#RUNTIME-CONFIG-LOGGING-CSVLOG */
function* csvRecords(text: string): Generator<ServerRecord> {
  for (const fields of csvLines(text)) {
    const of = (at: number): string => fields[at] ?? ''
    yield {
      time: timeOf(of(0)),
      user: of(1),
      database: of(2),
      from: of(4),
      session: of(5),
      tag: of(7),
      severity: of(11),
      message: of(13),
      application: of(22),
    }
  }
}

/** Fields may be quoted, and quoted ones hold commas and newlines. */
function* csvLines(text: string): Generator<string[]> {
  const field = /(?:"((?:[^"]|"")*)"|([^",\n]*))(,|\r?\n|$)/y
  let fields: string[] = []
  field.lastIndex = 0
  while (field.lastIndex < text.length) {
    const found = field.exec(text)
    if (found === null) return
    fields.push(found[1] === undefined ? (found[2] as string) : found[1].replaceAll('""', '"'))
    if (found[3] === ',') continue
    yield fields
    fields = []
  }
}

const POOLER_LINE =
  /^(\S+ \S+) (\S+) \[\d+\] LOG (C-0x[0-9a-f]+): ([^/]*)\/([^@]*)@([^ ]+?)(?::\d+)? (login attempt|closing because)/

/** PgBouncer logs who connects and who leaves, and nothing of what they do. */
function* pgbouncerEvents(line: string): Generator<LogEvent> {
  const found = POOLER_LINE.exec(line)
  if (found === null) return
  const [, at = '', zone = '', session = '', database = '', user = '', from = '', what] = found
  const time = timeOf(`${at} ${zone}`)
  if (what === 'closing because') yield { kind: 'end', time, session }
  else yield { kind: 'connect', time, session, user, database, application: '', address: from === 'unix' ? '' : from }
}

/** `2026-01-02 03:04:05.678 UTC`; a zone by name other than UTC and GMT is taken for UTC. */
function timeOf(text: string): number {
  const [day = '', clock = '', zone = 'UTC'] = text.split(' ')
  const offset = /^[+-]\d\d(?::?\d\d)?$/.test(zone) ? zone.padEnd(6, ':00').slice(0, 6) : 'Z'
  return Date.parse(`${day}T${clock}${offset}`)
}
