import { CLASS } from './character-class.ts'

const BLANK = 0x20
const CLOSING = 0x29

/** Words behind which BY or JOIN cannot be a function's name. */
export const BEFORE_BY_AND_JOIN: readonly Buffer[] = 'order group partition left right inner outer full cross natural'
  .split(' ')
  .map((word) => Buffer.from(word))
/** In an INSERT without a join. */
export const BEFORE_CONFLICT: readonly Buffer[] = [Buffer.from('on')]

/**
 * Whether what stands before `at` in the same line, blanks aside, is one of these lower-case words or a closing parenthesis.
 * Not across lines: what ends a line may be a comment.
 */
export function isBehind(words: readonly Buffer[], bytes: Uint8Array, at: number): boolean {
  let stop = at
  while (stop > 0 && bytes[stop - 1] === BLANK) stop--
  return bytes[stop - 1] === CLOSING || words.some((word) => endsWith(word, bytes, stop))
}

function endsWith(word: Buffer, bytes: Uint8Array, stop: number): boolean {
  const start = stop - word.length
  if (start > 0 && (CLASS[bytes[start - 1] as number] as number) !== 0) return false
  for (let at = 0; at < word.length; at++) if (((bytes[start + at] ?? 0) | 0x20) !== word[at]) return false
  return true
}
