import { RouterError } from '../../errors.ts'
import { MalformedMessage, MessageReader } from '../../protocol/reader.ts'
import type { FormatCode } from './value-encoding.ts'

/** The extended query protocol's messages as values; each parser throws
 * MalformedMessage for a body that has another shape, and `08P01` for one that cannot be meant. */
export interface ParseMessage {
  readonly name: string
  readonly query: string
}

export interface BindMessage {
  readonly portal: string
  readonly statement: string
  readonly resultFormats: readonly FormatCode[]
}

export interface ExecuteMessage {
  readonly portal: string
  /** 0: all rows. */
  readonly maxRows: number
}

/** Describe and Close. */
export interface TargetMessage {
  readonly target: 'statement' | 'portal'
  readonly name: string
}

export function parseParse(body: Buffer): ParseMessage {
  const reader = new MessageReader(body, 0, body.length)
  const name = reader.text()
  const query = reader.text()
  // Declared parameter types change nothing: Bind refuses parameters.
  reader.raw(4 * reader.int16())
  finish(reader)
  return { name, query }
}

export function parseBind(body: Buffer): BindMessage {
  const reader = new MessageReader(body, 0, body.length)
  const portal = reader.text()
  const statement = reader.text()
  reader.raw(2 * reader.int16())
  const parameters = reader.int16()
  if (parameters !== 0) {
    throw new RouterError('08P01', `Bind supplies ${parameters} parameters; console commands take none.`, {
      origin: 'client',
      hint: 'Write the value into the command itself: KILL_CLIENT 42.',
    })
  }
  const resultFormats: FormatCode[] = []
  for (let left = reader.int16(); left > 0; left--) resultFormats.push(formatCode(reader.int16()))
  finish(reader)
  return { portal, statement, resultFormats }
}

export function parseExecute(body: Buffer): ExecuteMessage {
  const reader = new MessageReader(body, 0, body.length)
  const portal = reader.text()
  const maxRows = reader.int32()
  finish(reader)
  return { portal, maxRows: Math.max(0, maxRows) }
}

export function parseTarget(body: Buffer): TargetMessage {
  const reader = new MessageReader(body, 0, body.length)
  const letter = String.fromCharCode(reader.byte())
  if (letter !== 'S' && letter !== 'P') {
    throw new RouterError('08P01', `Describe and Close name a statement (S) or a portal (P), not "${letter}".`, {
      origin: 'client',
    })
  }
  const name = reader.text()
  finish(reader)
  return { target: letter === 'S' ? 'statement' : 'portal', name }
}

export function parseQuery(body: Buffer): string {
  const reader = new MessageReader(body, 0, body.length)
  const query = reader.text()
  finish(reader)
  return query
}

/** One code for each column: none given means text, one given means that for all. */
export function formatsFor(columns: number, given: readonly FormatCode[]): readonly FormatCode[] {
  if (given.length > 1 && given.length !== columns) {
    throw new RouterError('08P01', `Bind has ${given.length} result formats, the command has ${columns} columns.`, {
      origin: 'client',
    })
  }
  return Array.from({ length: columns }, (_, index) => (given.length === 1 ? given[0]! : (given[index] ?? 0)))
}

function formatCode(code: number): FormatCode {
  if (code === 0 || code === 1) return code
  throw new RouterError('08P01', `There is no format code ${code}.`, { origin: 'client' })
}

/** A message with more in it than its fields is not the message we think it is. */
function finish(reader: MessageReader): void {
  if (reader.remaining > 0) throw new MalformedMessage(`the message has ${reader.remaining} bytes more than its fields`)
}
