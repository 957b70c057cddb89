/** The value at `fraction` (0…1) of the sorted values, nearest rank; null when there are none. Sorts `values` in place. */
export function percentile(values: Float64Array, fraction: number): number | null {
  if (values.length === 0) return null
  values.sort()
  const rank = Math.max(1, Math.ceil(fraction * values.length))
  return values[rank - 1] ?? null
}

/** The middle of the values that are there (mean of the two middle ones for an even count); null when none is. */
export function median(values: readonly (number | null)[]): number | null {
  const present = values.filter((value) => value !== null).sort((a, b) => a - b)
  const middle = present.length >> 1
  const upper = present[middle]
  if (upper === undefined) return null
  const lower = present.length % 2 === 1 ? upper : present[middle - 1]
  return lower === undefined ? null : (lower + upper) / 2
}

/** `numerator / denominator`, or null when either is missing or the denominator says nothing (zero or below). */
export function ratio(numerator: number | null, denominator: number | null): number | null {
  if (numerator === null || denominator === null || denominator <= 0) return null
  return numerator / denominator
}

/** Rounded to `digits` significant digits: what a noisy measurement deserves in print. */
export function significant(value: number | null, digits = 4): number | null {
  return value === null ? null : Number(value.toPrecision(digits))
}
