import { profileLines } from '../analyzer/profile-report.ts'
import { commentHint } from '../analyzer/tier-hint.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { ClientHost } from './client-host.ts'
import { routeLines } from './route-lines.ts'

const LONGEST_QUESTION = 40
const SHORTEST_QUESTION = 'SHOW switchyard.tier'.length
const LETTER_S = 0x53
const LOWER_CASE = 0x20
const QUESTION = /^show\s+switchyard\.(tier|profile|route)\s*;?\s*$/i

/**
 * A client that asks for `switchyard.tier`, `switchyard.profile` or `switchyard.route` with SHOW: the SELECT that its shard is sent instead, so
 * that the answer comes in its turn and in every protocol. Null for every other text, which costs two comparisons.
 */
export function tierQuestion(host: ClientHost, slot: number, bytes: Buffer, start: number, end: number): string | null {
  const length = end - start
  if (length > LONGEST_QUESTION || length < SHORTEST_QUESTION) return null
  if (((bytes[start] as number) & ~LOWER_CASE) !== LETTER_S) return null
  const what = QUESTION.exec(bytes.toString('latin1', start, end))?.[1]
  if (what === undefined) return null
  const isRoute = what.toLowerCase() === 'route'
  const lines = isRoute ? routeLines(host, slot) : profileLines(host.analyzer, slot, host.now)
  if (what.toLowerCase() === 'tier') return `SELECT ${literal(lines[0]?.[1] ?? '')} AS "switchyard.tier"`
  const rows = lines.map(([name, value]) => `(${literal(name)}, ${literal(value)})`)
  return `SELECT * FROM (VALUES ${rows.join(', ')}) AS "switchyard.${isRoute ? 'route' : 'profile'}"(name, value)`
}

/** The hint of the query whose text is `source[start, end)`, which begins a transaction, counts until its end. */
export function noteComment(host: ClientHost, slot: number, source: NativeBuffer, start: number, end: number): void {
  if (host.analyzer.values.hints) host.analyzer.commented(slot, commentHint(source.bytes, start, end), host.now)
}

/** A text constant, whatever the setting of standard_conforming_strings. */
function literal(text: string): string {
  return ` E'${text.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('\0', '')}'`
}
