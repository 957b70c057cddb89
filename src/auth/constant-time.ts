import { timingSafeEqual } from 'node:crypto'

/**
 * Whether two byte strings are equal, in a time that does not depend on where they differ.
 * `timingSafeEqual` throws for unequal lengths; here they are unequal, after the same work. What the length says is
 * not hidden, so compare digests where the length is a secret (a password).
 */
export function equalConstantTime(given: Uint8Array, expected: Uint8Array): boolean {
  const comparable = given.length === expected.length
  return timingSafeEqual(comparable ? given : expected, expected) && comparable
}
