/**
 * log2(x) for 1 ≤ x < 2³¹, linear between powers of two: at most 0.09 too small, and a tenth of the time of `Math.log2`.
 * What is smaller counts as 1, what is larger as 2³¹.
 */
export function roughLog2(x: number): number {
  const whole = x >= 0x7fff_ffff ? 0x7fff_ffff : x < 1 ? 1 : x | 0
  const power = 31 - Math.clz32(whole)
  return power + whole / (1 << power) - 1
}

/** log2 of milliseconds, of anything from a microsecond to 35 minutes. */
export function roughLogMs(milliseconds: number): number {
  return roughLog2(milliseconds * 1000) - LOG_MICROSECONDS
}
const LOG_MICROSECONDS = Math.log2(1000)
