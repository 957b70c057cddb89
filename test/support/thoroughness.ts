/** `SWITCHYARD_TEST_FULL=1`: tests that repeat something do it as often as is good, however long that takes. */
export const isFull = process.env.SWITCHYARD_TEST_FULL === '1'

/** How often to do something again: `short` in every run, twice that in a full one. */
export function repeats(short: number): number {
  return isFull ? 2 * short : short
}
