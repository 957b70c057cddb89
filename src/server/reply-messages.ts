import type { NativeBuffer } from '../io/native.ts'
import { readErrorFields } from '../protocol/errors.ts'
import { BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'
import type { ErrorFields } from '../protocol/messages.ts'
import { MalformedMessage } from '../protocol/reader.ts'

const LETTER_C = 0x43
const LETTER_D = 0x44
const LETTER_I = 0x49
const LETTER_M = 0x4d
const LETTER_P = 0x50
const LETTER_U = 0x55
/** First letters of BEGIN, FETCH and of SELECT, SET, SHOW, SAVEPOINT, START TRANSACTION. */
const READING_LETTERS: ReadonlySet<number> = new Set([0x42, 0x46, 0x53])
/** What a statement has thrown away, which no rollback brings back. */
export type Cleared = 'statements' | 'sequences' | 'everything'

const CLEARING_TAGS: readonly (readonly [Buffer, Cleared])[] = [
  [Buffer.from('DEALLOCATE ALL\0'), 'statements'],
  [Buffer.from('DISCARD SEQUENCES\0'), 'sequences'],
  [Buffer.from('DISCARD ALL\0'), 'everything'],
]

/** Messages that say nothing to us: rows, row descriptions of parameters, copy data. */
export function isPlain(type: number): boolean {
  return (
    type === BACKEND.dataRow ||
    type === BACKEND.copyData ||
    type === BACKEND.parameterDescription ||
    type === BACKEND.copyOutResponse ||
    type === BACKEND.copyDone ||
    type === BACKEND.functionCallResponse
  )
}

/**
 * By the first letter of a command tag: the statement may have written something. SELECT as well, by SELECT INTO or a function:
 * those are not told.
 */
export function mayWrite(letter: number): boolean {
  return !READING_LETTERS.has(letter)
}

/** By the command tag at `bytes[at]`: rows were written, for which sequences may have given numbers. COMMIT is not meant by COPY. */
export function writesRows(bytes: Buffer, at: number): boolean {
  const letter = bytes[at]
  return (
    letter === LETTER_I ||
    letter === LETTER_U ||
    letter === LETTER_M ||
    (letter === LETTER_C && bytes[at + 2] === LETTER_P)
  )
}

/** By a whole CommandComplete, `bytes[at, stop)`: what the statement has cleared, null: nothing. */
export function clearedBy(bytes: Buffer, at: number, stop: number): Cleared | null {
  const start = at + HEADER_BYTES
  if (bytes[start] !== LETTER_D) return null
  return CLEARING_TAGS.find(([tag]) => tag.compare(bytes, start, stop) === 0)?.[1] ?? null
}

/** The fields of an ErrorResponse or NoticeResponse, `source[at, stop)`; null: they cannot be read. */
export function fieldsOf(source: NativeBuffer, at: number, stop: number): ErrorFields | null {
  try {
    return readErrorFields(source.bytes, at + HEADER_BYTES, stop)
  } catch (error) {
    if (error instanceof MalformedMessage) return null
    throw error
  }
}
