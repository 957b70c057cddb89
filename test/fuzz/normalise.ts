import type { WireMessage } from '../support/wire-message.ts'

/**
 * What the server sent, as lines that must be the same directly and through the router. Everything is compared except what
 * cannot be equal in two runs; this is the whole list:
 *
 * - BackendKeyData: process id and key are another server process's, and the router has its own.
 * - The process id in a notification: that of the server process which notified.
 * - OIDs from 16384 on, in RowDescription and ParameterDescription: the two runs are in two databases, whose objects were
 *   created one after the other.
 * - The order of several ParameterStatus that come together: PostgreSQL promises none.
 * - Notifications that a client gets after its goodbye (left out in fuzz-connection.ts): nobody reads them; they may be on
 *   their way at that moment.
 * - `client_encoding` for a client that has closed its side (left out there too): how the router finds out whether it still
 *   listens (docs/compatibility.md).
 * - Authentication requests: the two logins may use different methods.
 * - File, line and routine of an error: where in PostgreSQL's source it was raised. Errors of the router's own have none.
 * - The name of a prepared statement in an error: it is the router's own on the server (docs/compatibility.md).
 * - A ParameterDescription directly before an error: a statement whose table has gone (docs/compatibility.md).
 */
export function normalise(messages: readonly WireMessage[]): string[] {
  const lines: string[] = []
  let statuses: string[] = []
  for (const [at, message] of messages.entries()) {
    if (message.type === 'R' || (message.type === 't' && messages[at + 1]?.type === 'E')) continue
    if (message.type === 'S') {
      statuses.push(lineOf(message))
      continue
    }
    lines.push(...statuses.sort(), lineOf(message))
    statuses = []
  }
  return [...lines, ...statuses.sort()]
}

const FIRST_USER_OID = 16_384
/** Letters of error fields, in the order in which they are shown: those that say most come first. */
const ERROR_FIELDS: Readonly<Record<string, string>> = {
  S: '',
  C: '',
  M: '',
  D: 'detail',
  H: 'hint',
  P: 'position',
  p: 'internal position',
  q: 'internal query',
  W: 'where',
  s: 'schema',
  t: 'table',
  c: 'column',
  d: 'type',
  n: 'constraint',
  V: 'unlocalised',
}

function lineOf(message: WireMessage): string {
  switch (message.type) {
    case 'E':
      return `Error ${fieldsOf(message)}`
    case 'N':
      return `Notice ${fieldsOf(message)}`
    case 'T':
      return `RowDescription ${columnsOf(message.body)}`
    case 't':
      return `ParameterDescription ${typesOf(message.body)}`
    case 'D':
      return `DataRow ${JSON.stringify(message.row)}`
    case 'C':
      return `CommandComplete ${message.strings[0]}`
    case 'S':
      return message.body.length === 0 ? 'PortalSuspended' : `ParameterStatus ${message.strings.join('=')}`
    case 'Z':
      return `ReadyForQuery ${message.body.toString('latin1')}`
    case 'K':
      return 'BackendKeyData'
    case 'A':
      return `Notification ${message.body.subarray(4).toString('utf8').split('\0').slice(0, 2).join(': ')}`
    default:
      return `${NAMES[message.type] ?? message.type} ${message.body.toString('latin1')}`.trimEnd()
  }
}

const NAMES: Readonly<Record<string, string>> = {
  '1': 'ParseComplete',
  '2': 'BindComplete',
  '3': 'CloseComplete',
  n: 'NoData',
  s: 'PortalSuspended',
  I: 'EmptyQueryResponse',
  G: 'CopyInResponse',
  H: 'CopyOutResponse',
  d: 'CopyData',
  c: 'CopyDone',
}

function fieldsOf({ fields }: WireMessage): string {
  const known = Object.keys(ERROR_FIELDS).filter((letter) => letter in fields)
  const unknown = Object.keys(fields).filter((letter) => !(letter in ERROR_FIELDS) && !'FLR'.includes(letter))
  const shown = [...known, ...unknown]
    .map((letter) => `${ERROR_FIELDS[letter] ?? letter}${ERROR_FIELDS[letter] === '' ? '' : '='}${fields[letter]}`)
    .join(' ')
  return shown.replace(/prepared statement "[^"]*"/g, 'prepared statement "…"')
}

function oid(value: number): string {
  return value >= FIRST_USER_OID ? 'user' : String(value)
}

function columnsOf(body: Buffer): string {
  const columns: string[] = []
  let at = 2
  for (let left = body.readInt16BE(0); left > 0; left -= 1) {
    const end = body.indexOf(0, at)
    const name = body.toString('utf8', at, end)
    const [table, attribute] = [oid(body.readUInt32BE(end + 1)), body.readInt16BE(end + 5)]
    const [type, size] = [oid(body.readUInt32BE(end + 7)), body.readInt16BE(end + 11)]
    const [modifier, format] = [body.readInt32BE(end + 13), body.readInt16BE(end + 17)]
    columns.push(`${name}:${type}(table ${table}.${attribute} size ${size} mod ${modifier} format ${format})`)
    at = end + 19
  }
  return columns.join(', ')
}

function typesOf(body: Buffer): string {
  return Array.from({ length: body.readInt16BE(0) }, (_, n) => oid(body.readUInt32BE(2 + 4 * n))).join(', ')
}
