import { signalAnswer } from './backend-signals.ts'
import type { ClientHost } from './client-host.ts'
import { tierQuestion } from './tier-questions.ts'

const LONGEST = 64
const SHORTEST = 'SHOW switchyard.tier'.length
const LOWER_CASE = 0x20
const [LETTER_S, LETTER_H, LETTER_P, UNDERSCORE] = [0x73, 0x68, 0x70, 0x5f]

/**
 * What the router knows and the shard does not: the SELECT that is sent instead of the text `bytes[start, end)`, so that the
 * answer comes in its turn and in every protocol. Null for every other text, which costs a few comparisons.
 */
export function routerAnswer(host: ClientHost, slot: number, bytes: Buffer, start: number, end: number): string | null {
  const length = end - start
  if (length > LONGEST || length < SHORTEST) return null
  if (((bytes[start] as number) | LOWER_CASE) !== LETTER_S) return null
  if (((bytes[start + 1] as number) | LOWER_CASE) === LETTER_H) {
    return tierQuestion(host, slot, bytes.toString('latin1', start, end))
  }
  // SELECT pg_…
  if (bytes[start + 9] !== UNDERSCORE || ((bytes[start + 7] as number) | LOWER_CASE) !== LETTER_P) return null
  return signalAnswer(host, slot, bytes.toString('latin1', start, end))
}
