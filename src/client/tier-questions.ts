import { profileLines } from '../analyzer/profile-report.ts'
import { commentHint } from '../analyzer/tier-hint.ts'
import type { NativeBuffer } from '../io/native.ts'
import type { ClientHost } from './client-host.ts'
import { routeLines } from './route-lines.ts'

const QUESTION = /^show\s+switchyard\.(tier|profile|route)\s*;?\s*$/i

/**
 * A client that asks for `switchyard.tier`, `switchyard.profile` or `switchyard.route` with SHOW: the SELECT that its shard is sent instead, so
 * that the answer comes in its turn and in every protocol. Null for every other text.
 */
export function tierQuestion(host: ClientHost, slot: number, text: string): string | null {
  const what = QUESTION.exec(text)?.[1]
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
