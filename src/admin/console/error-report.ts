import { RouterError } from '../../errors.ts'
import { MalformedMessage } from '../../protocol/reader.ts'

/** What a client may read of any exception. */
export function describeError(error: unknown): { sqlstate: string; message: string; hint?: string | undefined } {
  if (error instanceof RouterError) return { sqlstate: error.sqlstate, message: error.message, hint: error.hint }
  if (error instanceof MalformedMessage) return { sqlstate: '08P01', message: `Malformed message: ${error.message}.` }
  return { sqlstate: 'XX000', message: `The command failed inside Switchyard: ${asError(error).message}` }
}

/** Whether nobody foresaw this exception, so that the log should have it. */
export function isBug(error: unknown): boolean {
  return !(error instanceof RouterError || error instanceof MalformedMessage)
}

export function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error))
}
