import { FRONTEND, HEADER_BYTES, lengthAt } from '../protocol/message-type.ts'

/** Text, NUL and types of a prepared statement of the session; null: it has none of this name, or not its text. */
export type StatementTail = (name: string) => Buffer | null

/** What a client's message does with a statement. */
export interface StatementUse {
  /** `other` names none. `unknown`: a statement whose text nobody has. */
  readonly kind: 'query' | 'parse' | 'bind' | 'other' | 'unknown'
  readonly type: number
  /** Where the message begins. */
  readonly at: number
  /** Its text is `bytes[start, end)`. */
  readonly bytes: Buffer
  readonly start: number
  readonly end: number
}

/**
 * Whole messages of a client, one by one, with the statement that each is about: those that a Bind names are looked for among
 * the messages before it, then by `tailOf`, where the empty name is the unnamed statement. Ends early, with `unknown`, at
 * what is no whole message.
 */
export function* statementUses(messages: Buffer, tailOf: StatementTail): Generator<StatementUse> {
  const parsed = new Map<string, Buffer>()
  let at = 0
  while (at < messages.length) {
    const type = messages[at] as number
    const start = at + HEADER_BYTES
    const stop = start <= messages.length ? at + 1 + lengthAt(messages, at + 1) : messages.length + 1
    const use = { type, at, bytes: messages, start, end: stop - 1 }
    if (stop > messages.length || stop < start) {
      yield { ...use, kind: 'unknown' }
      return
    }
    at = stop
    if (type === FRONTEND.query) yield { ...use, kind: 'query' }
    else if (type === FRONTEND.parse) {
      const nameEnd = messages.indexOf(0, start)
      parsed.set(messages.toString('utf8', start, nameEnd), messages.subarray(nameEnd + 1, stop))
      yield { ...use, kind: 'parse', start: nameEnd + 1, end: messages.indexOf(0, nameEnd + 1) }
    } else if (type === FRONTEND.bind) {
      const nameStart = messages.indexOf(0, start) + 1
      const name = messages.toString('utf8', nameStart, messages.indexOf(0, nameStart))
      const tail = parsed.get(name) ?? tailOf(name)
      if (tail === null) yield { ...use, kind: 'unknown' }
      else yield { ...use, kind: 'bind', bytes: tail, start: 0, end: tail.indexOf(0) }
    } else yield { ...use, kind: 'other' }
  }
}
