import { MalformedMessage, MessageReader } from './reader.ts'

/**
 * The first packet of a connection.
 * https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP
 */
export type StartupPacket =
  | { readonly kind: 'ssl-request' }
  | { readonly kind: 'gss-request' }
  | { readonly kind: 'cancel'; readonly processId: number; readonly key: Buffer }
  | {
      readonly kind: 'startup'
      readonly major: number
      readonly minor: number
      readonly parameters: Map<string, string>
    }
  | { readonly kind: 'incomplete' }
  /** `sqlstate` and `message` as PostgreSQL words them; null message: close without a word, this is no PostgreSQL client. */
  | { readonly kind: 'invalid'; readonly sqlstate: string; readonly message: string | null }

const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104
const CANCEL_REQUEST = 80877102

export const TLS_HANDSHAKE_BYTE = 0x16

const TLS_HEADER_BYTES = 5
/** Longest body of a record that is not encrypted: RFC 8446 §5.1. */
const TLS_PLAINTEXT_BYTES = 16_384

/** Whether all of the record is there that begins at `start`; also what is none, of which nothing has to be waited for. */
export function holdsTlsRecord(bytes: Buffer, start: number, end: number): boolean {
  if (start < end && bytes[start] !== TLS_HANDSHAKE_BYTE) return true
  if (end - start < TLS_HEADER_BYTES) return false
  const body = bytes.readUInt16BE(start + 3)
  return body > TLS_PLAINTEXT_BYTES || end - start >= TLS_HEADER_BYTES + body
}

export interface StartupLimits {
  /** Length word included. PostgreSQL's own is 10,000. */
  readonly bytes: number
  readonly parameters: number
}

/** Looks at `bytes[start, end)`; `total` bytes of it make the packet when the kind is not `incomplete`. */
export function parseStartup(
  bytes: Buffer,
  start: number,
  end: number,
  limits: StartupLimits,
): StartupPacket & { total: number } {
  if (end - start < 4) return { kind: 'incomplete', total: 0 }
  const total = bytes.readUInt32BE(start)
  if (total < 8 || total > limits.bytes) {
    return {
      kind: 'invalid',
      sqlstate: '08P01',
      message: looksLikeText(bytes, start) ? null : 'invalid length of startup packet',
      total,
    }
  }
  if (end - start < total) return { kind: 'incomplete', total }
  const code = bytes.readUInt32BE(start + 4)
  if (code === SSL_REQUEST && total === 8) return { kind: 'ssl-request', total }
  if (code === GSS_REQUEST && total === 8) return { kind: 'gss-request', total }
  if (code === CANCEL_REQUEST) return parseCancel(bytes, start, total)
  const reader = new MessageReader(bytes, start + 8, start + total)
  const major = code >>> 16
  const minor = code & 0xffff
  if (major !== 3) {
    return {
      kind: 'invalid',
      sqlstate: '0A000',
      message: `unsupported frontend protocol ${major}.${minor}: server supports 3.0 to 3.2`,
      total,
    }
  }
  try {
    return { kind: 'startup', major, minor, parameters: readParameters(reader, limits.parameters), total }
  } catch (error) {
    if (error instanceof MalformedMessage) return { kind: 'invalid', sqlstate: '08P01', message: error.message, total }
    throw error
  }
}

/** Other protocols' greetings ("GET / HTTP/1.1") are not worth an answer. */
function looksLikeText(bytes: Buffer, at: number): boolean {
  return bytes.subarray(at, at + 4).every((byte) => (byte >= 0x20 && byte < 0x7f) || byte === 0x0d || byte === 0x0a)
}

/** Keys are 4 bytes in protocol 3.0 and up to 256 in 3.2. */
function parseCancel(bytes: Buffer, start: number, total: number): StartupPacket & { total: number } {
  const keyBytes = total - 12
  if (keyBytes < 4 || keyBytes > 256) {
    return { kind: 'invalid', sqlstate: '08P01', message: 'invalid length of cancel request packet', total }
  }
  return {
    kind: 'cancel',
    processId: bytes.readInt32BE(start + 8),
    key: Buffer.from(bytes.subarray(start + 12, start + total)),
    total,
  }
}

function readParameters(reader: MessageReader, most: number): Map<string, string> {
  const parameters = new Map<string, string>()
  for (;;) {
    if (reader.remaining === 0)
      throw new MalformedMessage('invalid startup packet layout: expected terminator as last byte')
    const name = reader.text()
    if (name === '') break
    if (parameters.size >= most) throw new MalformedMessage(`startup packet has more than ${most} parameters`)
    // As in PostgreSQL, the last of several wins.
    parameters.set(name, reader.text())
  }
  if (reader.remaining !== 0)
    throw new MalformedMessage('invalid startup packet layout: expected terminator as last byte')
  return parameters
}

/**
 * Settings in the `options` startup parameter: `-c name=value`, `-cname=value`, `--name=value`; a backslash takes the
 * next character as it is. Null for anything else that `postgres` would accept on its command line.
 * https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNECT-OPTIONS
 */
export function parseStartupOptions(options: string): Map<string, string> | null {
  const settings = new Map<string, string>()
  const words = splitOptions(options)
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as string
    let setting: string | undefined
    if (word === '-c') setting = words[++index]
    else if (word.startsWith('-c')) setting = word.slice(2)
    else if (word.startsWith('--')) setting = word.slice(2)
    const equals = setting?.indexOf('=') ?? -1
    if (setting === undefined || equals < 1) return null
    settings.set(setting.slice(0, equals).replaceAll('-', '_'), setting.slice(equals + 1))
  }
  return settings
}

function splitOptions(options: string): string[] {
  const words: string[] = []
  let word = ''
  let inWord = false
  for (let at = 0; at < options.length; at++) {
    const char = options.charAt(at)
    // What isspace() says in the C locale: other spaces of Unicode are part of a value.
    if (/[ \t-\r]/.test(char)) {
      if (inWord) words.push(word)
      word = ''
      inWord = false
      continue
    }
    inWord = true
    word += char === '\\' ? options.charAt(++at) : char
  }
  if (inWord) words.push(word)
  return words
}
