import { FRONTEND } from './message-type.ts'

/** For tests: a message of a client; strings are followed by a NUL, numbers are bytes. */
export function message(type: number, ...parts: readonly (string | readonly number[])[]): Buffer {
  const body = Buffer.concat(
    parts.map((part) => (typeof part === 'string' ? Buffer.from(`${part}\0`) : Buffer.from(part))),
  )
  const head = Buffer.alloc(5)
  head[0] = type
  head.writeInt32BE(body.length + 4, 1)
  return Buffer.concat([head, body])
}

/** A simple query. */
export const query = (sql: string): Buffer => message(FRONTEND.query, sql)
/** Prepares a statement without parameters. */
export const parse = (name: string, sql: string): Buffer => message(FRONTEND.parse, name, sql, [0, 0])
/** Binds the unnamed portal to a statement without parameters. */
export const bind = (name: string): Buffer => message(FRONTEND.bind, '', name, [0, 0, 0, 0, 0, 0])
/** Asks what a statement, `S`, or a portal, `P`, is. */
export const describe = (kind: 'S' | 'P', name: string): Buffer =>
  message(FRONTEND.describe, [kind.charCodeAt(0)], name)
/** Executes the unnamed portal. */
export const execute = (): Buffer => message(FRONTEND.execute, '', [0, 0, 0, 0])
/** Closes a statement. */
export const closeStatement = (name: string): Buffer => message(FRONTEND.close, [0x53], name)
/** The end of an extended query. */
export const sync = (): Buffer => message(FRONTEND.sync)
