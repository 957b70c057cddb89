import { BACKEND, HEADER_BYTES } from '../protocol/message-type.ts'

const LETTER_D = 0x44
/** Tags of what drops all prepared statements. */
const CLEARING_TAGS = [Buffer.from('DEALLOCATE ALL\0'), Buffer.from('DISCARD ALL\0')]

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

/** A whole CommandComplete, `bytes[at, stop)`: DEALLOCATE ALL or DISCARD ALL is done. */
export function dropsStatements(bytes: Buffer, at: number, stop: number): boolean {
  const start = at + HEADER_BYTES
  return bytes[start] === LETTER_D && CLEARING_TAGS.some((tag) => tag.compare(bytes, start, stop) === 0)
}
