import type { ColumnType, Value } from './table.ts'

/** 0 = text, 1 = binary: https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES */
export type FormatCode = 0 | 1

/** `pg_type.oid` and `typlen` of each column type. */
export const WIRE_TYPES: Readonly<Record<ColumnType, { readonly oid: number; readonly size: number }>> = {
  bool: { oid: 16, size: 1 },
  int8: { oid: 20, size: 8 },
  int4: { oid: 23, size: 4 },
  text: { oid: 25, size: -1 },
  float8: { oid: 701, size: 8 },
}

const INT4_MAX = 2 ** 31 - 1

/** Never outside the type: an odd number in shared memory must not end a console connection. */
const whole = (value: Value, limit: number): number => Math.max(-limit, Math.min(limit, Math.round(Number(value)) || 0))

/** The bytes of one DataRow column; null is SQL's NULL. */
export function encodeValue(value: Value, type: ColumnType, format: FormatCode): Buffer | null {
  if (value === null) return null
  return format === 1 ? encodeBinary(value, type) : Buffer.from(encodeText(value, type), 'utf8')
}

function encodeText(value: Value, type: ColumnType): string {
  switch (type) {
    case 'bool':
      return value ? 't' : 'f'
    case 'int4':
      return String(whole(value, INT4_MAX))
    case 'int8':
      return String(whole(value, Number.MAX_SAFE_INTEGER))
    case 'float8':
    case 'text':
      return String(value)
  }
}

function encodeBinary(value: Value, type: ColumnType): Buffer {
  const bytes = Buffer.alloc(Math.max(WIRE_TYPES[type].size, 0))
  switch (type) {
    case 'bool':
      bytes[0] = value ? 1 : 0
      return bytes
    case 'int4':
      bytes.writeInt32BE(whole(value, INT4_MAX))
      return bytes
    case 'int8':
      bytes.writeBigInt64BE(BigInt(whole(value, Number.MAX_SAFE_INTEGER)))
      return bytes
    case 'float8':
      bytes.writeDoubleBE(Number(value))
      return bytes
    case 'text':
      return Buffer.from(String(value), 'utf8')
  }
}
