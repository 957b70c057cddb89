import type { Exchange } from './program-run.ts'

/** The first action whose answers differ, and everything said until then. */
export interface Difference {
  /** For people: both transcripts side by side, up to and including the difference. */
  readonly text: string
}

const COLUMN = 88

/** Null when both transcripts are the same. */
export function compare(direct: readonly Exchange[], router: readonly Exchange[]): Difference | null {
  const count = Math.max(direct.length, router.length)
  for (let n = 0; n < count; n += 1) {
    const [left, right] = [direct[n], router[n]]
    if (left?.title === right?.title && left?.lines.join('\n') === right?.lines.join('\n')) continue
    return { text: sideBySide(direct.slice(0, n + 1), router.slice(0, n + 1)) }
  }
  return null
}

/** Both transcripts in two columns; a `*` in front of lines that differ. */
export function sideBySide(direct: readonly Exchange[], router: readonly Exchange[]): string {
  const lines = [`  ${'PostgreSQL'.padEnd(COLUMN)} | Switchyard`]
  for (let n = 0; n < Math.max(direct.length, router.length); n += 1) {
    const [left, right] = [direct[n], router[n]]
    lines.push('', left?.title ?? right?.title ?? '')
    if (left?.title.endsWith(': connects') && left.lines.join() === right?.lines.join()) continue
    const rows = Math.max(left?.lines.length ?? 0, right?.lines.length ?? 0)
    for (let row = 0; row < rows; row += 1) lines.push(...pairOf(left?.lines[row] ?? '', right?.lines[row] ?? ''))
  }
  return lines.join('\n')
}

/** Long lines are the same in both columns most of the time: then the first part of them will do. */
function pairOf(left: string, right: string): string[] {
  if (left === right) return [`  ${left.slice(0, COLUMN).padEnd(COLUMN)} | ${right.slice(0, COLUMN)}`]
  const lines: string[] = []
  for (let at = 0; at < Math.max(left.length, right.length, 1); at += COLUMN) {
    lines.push(`* ${left.slice(at, at + COLUMN).padEnd(COLUMN)} | ${right.slice(at, at + COLUMN)}`)
  }
  return lines
}
