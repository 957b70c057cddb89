import type { Column, Row } from './table.ts'
import { encodeValue, type FormatCode, WIRE_TYPES } from './value-encoding.ts'

export type TransactionStatus = 'I' | 'T' | 'E'

/** The fields of an ErrorResponse or NoticeResponse that the console uses. */
export interface Report {
  readonly severity: 'FATAL' | 'ERROR' | 'NOTICE'
  readonly sqlstate: string
  readonly message: string
  readonly hint?: string | undefined
}

/**
 * Gathers backend messages until `take`.
 * https://www.postgresql.org/docs/current/protocol-message-formats.html
 */
export class ReplyWriter {
  #buffer: Buffer = Buffer.allocUnsafe(1024)
  #length = 0
  #frameStart = 0

  /** Bytes that wait for `take`. */
  get pending(): number {
    return this.#length
  }

  /** Everything written since the last call; the buffer is the caller's from now on. */
  take(): Buffer {
    const taken = this.#buffer.subarray(0, this.#length)
    this.#buffer = Buffer.allocUnsafe(1024)
    this.#length = 0
    return taken
  }

  /** The one-byte answer to SSLRequest and GSSENCRequest: no. */
  refuseEncryption(): void {
    this.#byte(0x4e)
  }

  authenticationOk(): void {
    this.#begin('R')
    this.#int32(0)
    this.#finish()
  }

  negotiateProtocolVersion(newestMinor: number, unknownOptions: readonly string[]): void {
    this.#begin('v')
    this.#int32(newestMinor)
    this.#int32(unknownOptions.length)
    for (const option of unknownOptions) this.#cstring(option)
    this.#finish()
  }

  parameterStatus(name: string, value: string): void {
    this.#begin('S')
    this.#cstring(name)
    this.#cstring(value)
    this.#finish()
  }

  backendKeyData(processId: number, secret: number): void {
    this.#begin('K')
    this.#int32(processId)
    this.#int32(secret)
    this.#finish()
  }

  readyForQuery(status: TransactionStatus): void {
    this.#begin('Z')
    this.#byte(status.charCodeAt(0))
    this.#finish()
  }

  rowDescription(columns: readonly Column[], formats: readonly FormatCode[]): void {
    this.#begin('T')
    this.#int16(columns.length)
    for (const [index, column] of columns.entries()) {
      const type = WIRE_TYPES[column.type]
      this.#cstring(column.name)
      this.#int32(0)
      this.#int16(0)
      this.#int32(type.oid)
      this.#int16(type.size)
      this.#int32(-1)
      this.#int16(formats[index] ?? 0)
    }
    this.#finish()
  }

  dataRow(columns: readonly Column[], row: Row, formats: readonly FormatCode[]): void {
    this.#begin('D')
    this.#int16(columns.length)
    for (const [index, column] of columns.entries()) {
      const bytes = encodeValue(row[index] ?? null, column.type, formats[index] ?? 0)
      this.#int32(bytes === null ? -1 : bytes.length)
      if (bytes !== null) this.#bytes(bytes)
    }
    this.#finish()
  }

  commandComplete(tag: string): void {
    this.#begin('C')
    this.#cstring(tag)
    this.#finish()
  }

  /** `t`: the statement takes no parameters. */
  noParameters(): void {
    this.#begin('t')
    this.#int16(0)
    this.#finish()
  }

  parseComplete(): void {
    this.#empty('1')
  }

  bindComplete(): void {
    this.#empty('2')
  }

  closeComplete(): void {
    this.#empty('3')
  }

  emptyQueryResponse(): void {
    this.#empty('I')
  }

  noData(): void {
    this.#empty('n')
  }

  portalSuspended(): void {
    this.#empty('s')
  }

  report(report: Report): void {
    this.#begin(report.severity === 'NOTICE' ? 'N' : 'E')
    this.#errorField('S', report.severity)
    this.#errorField('V', report.severity)
    this.#errorField('C', report.sqlstate)
    this.#errorField('M', report.message)
    if (report.hint !== undefined) this.#errorField('H', report.hint)
    this.#byte(0)
    this.#finish()
  }

  #errorField(code: string, value: string): void {
    this.#byte(code.charCodeAt(0))
    this.#cstring(value)
  }

  #empty(type: string): void {
    this.#begin(type)
    this.#finish()
  }

  #begin(type: string): void {
    this.#byte(type.charCodeAt(0))
    this.#frameStart = this.#length
    this.#int32(0)
  }

  #finish(): void {
    this.#buffer.writeInt32BE(this.#length - this.#frameStart, this.#frameStart)
  }

  #byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.#length++] = value
  }

  #int16(value: number): void {
    this.#reserve(2)
    this.#length = this.#buffer.writeInt16BE(value, this.#length)
  }

  #int32(value: number): void {
    this.#reserve(4)
    this.#length = this.#buffer.writeInt32BE(value, this.#length)
  }

  #bytes(value: Buffer): void {
    this.#reserve(value.length)
    this.#length += value.copy(this.#buffer, this.#length)
  }

  /** A zero byte inside would end the text early and shift every field after it. */
  #cstring(value: string): void {
    this.#bytes(Buffer.from(`${value.replaceAll('\0', '')}\0`, 'utf8'))
  }

  #reserve(bytes: number): void {
    if (this.#length + bytes <= this.#buffer.length) return
    const grown = Buffer.allocUnsafe(Math.max(2 * this.#buffer.length, this.#length + bytes))
    this.#buffer.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
  }
}
