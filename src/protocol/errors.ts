import type { ErrorFields } from './messages.ts'
import { MessageReader } from './reader.ts'

const SEVERITIES: ReadonlyMap<string, ErrorFields['severity']> = new Map([
  ['FATAL', 'FATAL'],
  ['PANIC', 'FATAL'],
  ['WARNING', 'WARNING'],
  ['NOTICE', 'NOTICE'],
])

/** What we look at in an ErrorResponse or NoticeResponse; unknown severities count as ERROR. */
export function readErrorFields(bytes: Buffer, start: number, end: number): ErrorFields {
  const reader = new MessageReader(bytes, start, end)
  const fields = new Map<string, string>()
  for (;;) {
    const code = reader.byte()
    if (code === 0) break
    fields.set(String.fromCharCode(code), reader.text())
  }
  // V is never translated, S may be.
  const severity = SEVERITIES.get(fields.get('V') ?? fields.get('S') ?? '') ?? 'ERROR'
  const routine = severity === 'FATAL' ? fields.get('R') : undefined
  return {
    severity,
    sqlstate: fields.get('C') ?? 'XX000',
    message: fields.get('M') ?? '',
    detail: fields.get('D'),
    hint: fields.get('H'),
    ...(routine === undefined ? {} : { routine }),
  }
}
