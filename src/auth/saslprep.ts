import type { CodePointTable } from './saslprep-tables.ts'
import { leftToRight, mappedToNothing, nonAsciiSpaces, prohibited, rightToLeft, unassigned } from './saslprep-tables.ts'

/**
 * The password as it goes into PBKDF2: prepared with SASLprep (RFC 4013), or unchanged where that is not possible.
 *
 * PostgreSQL is the oracle, on the server (`pg_be_scram_build_secret`) and in libpq: it takes ASCII as it is, falls
 * back to the raw password when it cannot be prepared (prohibited, unassigned in Unicode 3.2, wrong bidi, nothing
 * left), and looks for such characters after the mapping but before the normalisation. ASCII and half surrogate pairs
 * need no case of their own: the first is not changed by any step, the second is prohibited.
 * https://github.com/postgres/postgres/blob/master/src/common/saslprep.c
 */
export function preparePassword(password: string): string {
  const mapped = mapCodePoints(password)
  if (mapped.length === 0) return password
  if (mapped.some((codePoint) => prohibited.has(codePoint) || unassigned.has(codePoint))) return password
  if (!isBidiConsistent(mapped)) return password
  return mapped.reduce((text, codePoint) => text + String.fromCodePoint(codePoint), '').normalize('NFKC')
}

function mapCodePoints(text: string): number[] {
  const mapped: number[] = []
  for (const character of text) {
    const codePoint = character.codePointAt(0) ?? 0
    if (nonAsciiSpaces.has(codePoint)) mapped.push(0x20)
    else if (!mappedToNothing.has(codePoint)) mapped.push(codePoint)
  }
  return mapped
}

/** RFC 3454 §6: right-to-left text must begin and end so, and hold no left-to-right character. */
function isBidiConsistent(codePoints: readonly number[]): boolean {
  const isIn = (table: CodePointTable) => (codePoint: number | undefined) => table.has(codePoint ?? 0)
  if (!codePoints.some(isIn(rightToLeft))) return true
  if (codePoints.some(isIn(leftToRight))) return false
  return isIn(rightToLeft)(codePoints[0]) && isIn(rightToLeft)(codePoints.at(-1))
}
