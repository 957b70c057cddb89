import { accepted, notAllowed, type ValueType } from './value-type.ts'

// Powers of 1024, as PostgreSQL counts its own `kB` and `MB`.
const unitBytes = { b: 1, kb: 1024, mb: 1024 ** 2, gb: 1024 ** 3 } as const

const sizePattern = /^(\d+(?:\.\d+)?)([BbKkMmGg]|[KkMmGg][Ii]?[Bb])$/

/** Bytes that `found` stands for: `"64KB"`, `"16MB"`, `"1GiB"`, or a number of bytes. Null: not a size. */
export function parseSize(found: unknown): number | null {
  if (typeof found === 'number') return Number.isInteger(found) && found >= 0 ? found : null
  const [, amount, unit] = (typeof found === 'string' ? sizePattern.exec(found) : null) ?? []
  if (unit === undefined) return null
  const letter = unit.charAt(0).toLowerCase()
  const bytes = Number(amount) * unitBytes[(letter === 'b' ? 'b' : `${letter}b`) as keyof typeof unitBytes]
  return Number.isInteger(bytes) ? bytes : null
}

/** The shortest way to write `bytes`: `65536` → `64KB`, `10000` → `10000`. */
export function formatSize(bytes: number): string {
  for (const unit of ['gb', 'mb', 'kb'] as const) {
    if (bytes > 0 && bytes % unitBytes[unit] === 0) return `${bytes / unitBytes[unit]}${unit.toUpperCase()}`
  }
  return String(bytes)
}

/** A size of `minimum` to `maximum` bytes. */
export function size(minimum: number, maximum: number): ValueType<number, 'Bytes'> {
  return {
    unit: 'Bytes',
    allowed: `a size from ${formatSize(minimum)} to ${formatSize(maximum)} such as "64KB", "16MB" or a number of bytes`,
    secret: false,
    jsonSchema: { type: ['string', 'integer'], pattern: sizePattern.source, minimum, maximum },
    read: (found) => {
      const bytes = parseSize(found)
      return bytes !== null && bytes >= minimum && bytes <= maximum ? accepted(bytes) : notAllowed
    },
    show: formatSize,
  }
}
