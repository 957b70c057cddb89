import { accepted, notAllowed, type ValueType } from './value-type.ts'

const unitMs = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 } as const

const durationPattern = /^(?:\d+(?:\.\d+)?(?:ms|s|min|m|h|d))+$/
const partPattern = /(\d+(?:\.\d+)?)(ms|s|min|m|h|d)/g

/** Milliseconds that `found` stands for: `"250ms"`, `"5m"`, `"1h30m"`, or a number of seconds. Null: not a duration. */
export function parseDuration(found: unknown): number | null {
  if (typeof found === 'number') return wholeMs(found * unitMs.s)
  if (typeof found !== 'string' || !durationPattern.test(found)) return null
  let total = 0
  for (const [, amount, unit] of found.matchAll(partPattern)) {
    total += Number(amount) * unitMs[unit as keyof typeof unitMs]
  }
  return wholeMs(total)
}

// Binary fractions: 1.1 s is 1100.0000000000002 ms. What is finer than that was not meant as milliseconds, and
// rounding it could make a 0, which switches a limit off.
function wholeMs(ms: number): number | null {
  const rounded = Math.round(ms)
  return Number.isFinite(ms) && ms >= 0 && Math.abs(ms - rounded) < 1e-6 ? rounded : null
}

/** The shortest way to write `ms`: `90000` → `90s`, `3600000` → `1h`, `0` → `0`. */
export function formatDuration(ms: number): string {
  if (ms === 0) return '0'
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`
  }
  return `${ms}ms`
}

/** A duration of `minimum` to `maximum` milliseconds. `zero` says what 0 means. */
export function duration(minimum: number, maximum: number, zero?: string): ValueType<number, 'Ms'> {
  const range = `from ${formatDuration(minimum)} to ${formatDuration(maximum)}`
  return {
    unit: 'Ms',
    allowed: `a duration ${range} such as "30s", "5m" or a number of seconds${zero === undefined ? '' : ` (0 = ${zero})`}`,
    secret: false,
    jsonSchema: {
      type: ['string', 'number'],
      pattern: durationPattern.source,
      minimum: minimum / unitMs.s,
      maximum: maximum / unitMs.s,
    },
    read: (found) => {
      const ms = parseDuration(found)
      return ms !== null && ms >= minimum && ms <= maximum ? accepted(ms) : notAllowed
    },
    show: formatDuration,
  }
}
