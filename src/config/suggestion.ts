import type { AnySection } from './key.ts'
import { keyPath } from './toml-text.ts'

/** The candidate that `word` was most probably meant to be, or null when none is near. */
export function closest(word: string, candidates: readonly string[]): string | null {
  const wanted = normalise(word)
  let best: string | null = null
  let bestDistance = Math.max(1, Math.floor(wanted.length / 3)) + 1
  for (const candidate of candidates) {
    const distance = editDistance(wanted, normalise(candidate))
    if (distance < bestDistance) {
      best = candidate
      bestDistance = distance
    }
  }
  return best
}

/**
 * The key that an unknown `name` in the section `path` was probably meant to be, with its full name: a near one of the
 * same section, the same name elsewhere, PgBouncer's name for it, or a near one elsewhere. `place` is how the section
 * is called where the name was found (`shards[1]`).
 */
export function suggestKey(name: string, path: string, place: string, sections: readonly AnySection[]): string | null {
  const own = sections.find((section) => section.path === path)
  const near = closest(name, own === undefined ? [] : Object.keys(own.keys))
  if (near !== null) return keyPath(place, near)
  const wanted = normalise(name)
  const keys = sections.flatMap((section) =>
    Object.entries(section.keys).map(([key, { pgbouncer }]) => ({ section, key, pgbouncer })),
  )
  const inTables = keys.filter(({ section }) => section.form === 'table')
  const elsewhere =
    inTables.find(({ key }) => key === wanted) ??
    inTables.find(({ pgbouncer }) => pgbouncer === wanted) ??
    keys.find(({ key, pgbouncer }) => key === wanted || pgbouncer === wanted)
  if (elsewhere !== undefined) return written(elsewhere.section, elsewhere.key)
  if (path !== '') return null
  return closest(
    name,
    sections.map((section) => section.path),
  )
}

function written(section: AnySection, key: string): string {
  if (section.form === 'list') return `${key} in [[${section.path}]]`
  return section.form === 'named' ? `${key} in [${section.path}.NAME]` : `${section.path}.${key}`
}

function normalise(word: string): string {
  return word
    .replace(/([a-z])([A-Z])/g, '$1_$2')
    .toLowerCase()
    .replaceAll('-', '_')
}

/** Optimal string alignment: insertions, deletions, substitutions, and swaps of neighbours, each for 1. */
export function editDistance(a: string, b: string): number {
  const rows: number[][] = [Array.from({ length: b.length + 1 }, (_, index) => index)]
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const substitution = rows[i - 1]![j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)
      let distance = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, substitution)
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwap) distance = Math.min(distance, rows[i - 2]![j - 2]! + 1)
      row.push(distance)
    }
    rows.push(row)
  }
  return rows[a.length]![b.length]!
}
