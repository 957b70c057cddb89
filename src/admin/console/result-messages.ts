import { BACKEND } from '../../protocol/message-type.ts'
import type { MessageWriter } from '../../protocol/writer.ts'
import type { Column, Row } from './table.ts'
import { encodeValue, type FormatCode, WIRE_TYPES } from './value-encoding.ts'

/** https://www.postgresql.org/docs/current/protocol-message-formats.html#PROTOCOL-MESSAGE-FORMATS-ROWDESCRIPTION */
export function writeRowDescription(
  writer: MessageWriter,
  columns: readonly Column[],
  formats: readonly FormatCode[],
): void {
  writer.begin(BACKEND.rowDescription).int16(columns.length)
  for (const [index, column] of columns.entries()) {
    const type = WIRE_TYPES[column.type]
    // No table and no column of one; then the type, its size, no modifier, the format.
    writer.text(column.name).int32(0).int16(0).int32(type.oid).int16(type.size).int32(-1)
    writer.int16(formats[index] ?? 0)
  }
  writer.end()
}

export function writeDataRow(
  writer: MessageWriter,
  columns: readonly Column[],
  row: Row,
  formats: readonly FormatCode[],
): void {
  writer.begin(BACKEND.dataRow).int16(columns.length)
  for (const [index, column] of columns.entries()) {
    const bytes = encodeValue(row[index] ?? null, column.type, formats[index] ?? 0)
    if (bytes === null) writer.int32(-1)
    else writer.int32(bytes.length).raw(bytes)
  }
  writer.end()
}

/** ParameterDescription of a statement that takes no parameters. */
export function writeNoParameters(writer: MessageWriter): void {
  writer.begin(BACKEND.parameterDescription).int16(0).end()
}

/** A message that is nothing but its type. */
export function writeBare(writer: MessageWriter, type: number): void {
  writer.begin(type).end()
}
