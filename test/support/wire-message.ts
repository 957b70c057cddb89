/**
 * What a PostgreSQL server sends, decoded for assertions. Written apart from `src/protocol` on purpose: one mistake
 * cannot then be in both. https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class WireMessage {
  /** The type byte as a character. */
  readonly type: string
  /** Without type and length; empty for a message longer than the reader keeps. */
  readonly body: Buffer
  /** Bytes of the body on the wire, kept or not. */
  readonly bodyBytes: number

  constructor(type: string, body: Buffer, bodyBytes: number = body.length) {
    this.type = type
    this.body = body
    this.bodyBytes = bodyBytes
  }

  /** Fields of an ErrorResponse or NoticeResponse by their letter (`S` severity, `C` SQLSTATE, `M` message …). */
  get fields(): Record<string, string> {
    const fields: Record<string, string> = {}
    let at = 0
    while (at < this.body.length && this.body[at] !== 0) {
      const end = this.body.indexOf(0, at + 1)
      if (end < 0) throw new Error('an error field is not terminated')
      fields[String.fromCharCode(this.body[at]!)] = this.body.toString('utf8', at + 1, end)
      at = end + 1
    }
    return fields
  }

  /** The SQLSTATE of an ErrorResponse or NoticeResponse. */
  get sqlstate(): string {
    return this.fields.C ?? ''
  }

  /** Zero-terminated strings from the start of the body: ParameterStatus is two, CommandComplete one. */
  get strings(): string[] {
    const parts = this.body.toString('utf8').split('\0')
    parts.pop()
    return parts
  }

  /** Columns of a DataRow as text; null for SQL NULL. */
  get row(): (string | null)[] {
    const values: (string | null)[] = []
    let at = 2
    for (let left = this.body.readInt16BE(0); left > 0; left -= 1) {
      const bytes = this.body.readInt32BE(at)
      at += 4
      values.push(bytes < 0 ? null : this.body.toString('utf8', at, at + bytes))
      if (bytes > 0) at += bytes
    }
    return values
  }

  /** For error messages and comparison of whole exchanges. */
  toString(): string {
    if (this.type === 'E' || this.type === 'N') return `${this.type}(${this.fields.C} ${this.fields.M})`
    if (this.type === 'Z') return `Z(${this.body.toString('latin1')})`
    if (this.type === 'C') return `C(${this.strings[0]})`
    if (this.type === 'S') return `S(${this.strings.join('=')})`
    if (this.type === 'D' && this.bodyBytes < 200) return `D(${this.row.join(',')})`
    return this.bodyBytes === 0 ? this.type : `${this.type}[${this.bodyBytes}]`
  }
}

/** The message types in order, without those that may come at any time (notices, parameters, notifications). */
export function shapeOf(messages: readonly WireMessage[]): string {
  return messages
    .filter((message) => !'NSA'.includes(message.type))
    .map((message) => message.type)
    .join('')
}

/** All rows of an exchange. */
export function rowsOf(messages: readonly WireMessage[]): (string | null)[][] {
  return messages.filter((message) => message.type === 'D').map((message) => message.row)
}

/** The only value of the only row. */
export function onlyValue(messages: readonly WireMessage[]): string | null {
  const rows = rowsOf(messages)
  if (rows.length !== 1) throw new Error(`expected one row, got ${messages.join(' ')}`)
  return rows[0]![0] ?? null
}

/** SQLSTATEs of all errors of an exchange, in order. */
export function sqlstatesOf(messages: readonly WireMessage[]): string[] {
  return messages.filter((message) => message.type === 'E').map((message) => message.sqlstate)
}
