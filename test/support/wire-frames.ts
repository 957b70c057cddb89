/**
 * Frames a client sends, as bytes. Formats: https://www.postgresql.org/docs/current/protocol-message-formats.html
 */

/** One message: type, length, body. */
export function frame(type: string, ...body: (Buffer | string)[]): Buffer {
  const parts = body.map((part) => (typeof part === 'string' ? Buffer.from(part) : part))
  const bytes = parts.reduce((sum, part) => sum + part.length, 0)
  const head = Buffer.alloc(5)
  head.write(type, 'latin1')
  head.writeInt32BE(bytes + 4, 1)
  return Buffer.concat([head, ...parts])
}

/** A packet without a type byte: startup, SSLRequest, CancelRequest. */
export function packet(...body: Buffer[]): Buffer {
  const whole = Buffer.concat([Buffer.alloc(4), ...body])
  whole.writeInt32BE(whole.length)
  return whole
}

export function int16(value: number): Buffer {
  const bytes = Buffer.alloc(2)
  bytes.writeInt16BE(value)
  return bytes
}

export function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value | 0)
  return bytes
}

/** A zero-terminated string. */
export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`)
}

export const PROTOCOL_3_0 = 0x00030000
export const PROTOCOL_3_2 = 0x00030002
export const SSL_REQUEST = packet(int32(80877103))
export const GSSENC_REQUEST = packet(int32(80877104))

/** A startup packet with these parameters, in this order. */
export function startup(parameters: Readonly<Record<string, string>>, protocol: number = PROTOCOL_3_0): Buffer {
  const pairs = Object.entries(parameters).flatMap(([name, value]) => [text(name), text(value)])
  return packet(int32(protocol), ...pairs, Buffer.from([0]))
}

export function cancelRequest(pid: number, key: Buffer): Buffer {
  return packet(int32(80877102), int32(pid), key)
}

export const query = (sql: string): Buffer => frame('Q', text(sql))
export const parse = (name: string, sql: string, types: readonly number[] = []): Buffer =>
  frame('P', text(name), text(sql), int16(types.length), ...types.map(int32))
export const describe = (kind: 'S' | 'P', name: string): Buffer => frame('D', kind, text(name))
export const execute = (portal: string, maxRows = 0): Buffer => frame('E', text(portal), int32(maxRows))
export const close = (kind: 'S' | 'P', name: string): Buffer => frame('C', kind, text(name))
export const sync = (): Buffer => frame('S')
export const flush = (): Buffer => frame('H')
export const terminate = (): Buffer => frame('X')
export const copyData = (data: Buffer | string): Buffer => frame('d', data)
export const copyDone = (): Buffer => frame('c')
export const copyFail = (reason: string): Buffer => frame('f', text(reason))
export const password = (value: string): Buffer => frame('p', text(value))

/** All parameters and results in text format; null is SQL NULL. */
export function bind(portal: string, statement: string, values: readonly (string | null)[] = []): Buffer {
  const encoded = values.flatMap((value) => {
    if (value === null) return [int32(-1)]
    const bytes = Buffer.from(value)
    return [int32(bytes.length), bytes]
  })
  return frame('B', text(portal), text(statement), int16(0), int16(values.length), ...encoded, int16(0))
}

/** FunctionCall with text arguments and a text result. */
export function functionCall(oid: number, values: readonly string[]): Buffer {
  const encoded = values.flatMap((value) => [int32(Buffer.byteLength(value)), Buffer.from(value)])
  return frame('F', int32(oid), int16(1), int16(0), int16(values.length), ...encoded, int16(0))
}

/** Parse, Bind, Describe, Execute, Sync of the unnamed statement. */
export function extendedQuery(sql: string, values: readonly (string | null)[] = []): Buffer {
  return Buffer.concat([parse('', sql), bind('', '', values), describe('P', ''), execute(''), sync()])
}
