import type { Config } from './schema.ts'
import { listSettings, type Setting } from './settings.ts'

/** What a reload changes. */
export interface ConfigDiff {
  /** Keys whose new values apply at once; `databases.shop (added)` or `(removed)` for whole entries. */
  readonly applied: readonly string[]
  /** Keys whose new values wait for the next start. */
  readonly needsRestart: readonly string[]
}

/** What differs between two configurations, the contents of certificates and password files included. */
export function diffConfig(before: Config, after: Config): ConfigDiff {
  const old = new Map(listSettings(before).map((each) => [each.key, each]))
  const fresh = new Map(listSettings(after).map((each) => [each.key, each]))
  const oldOwners = ownersOf(old)
  const freshOwners = ownersOf(fresh)
  const changed = [...fresh.values()].filter((setting) => {
    const previous = old.get(setting.key)
    return previous !== undefined && !isSame(previous.value, setting.value)
  })
  const keysOf = (changeable: 'yes' | 'restart'): readonly string[] =>
    changed.filter(({ definition }) => definition.changeable === changeable).map(({ key }) => key)
  return {
    applied: [
      ...keysOf('yes'),
      ...[...freshOwners].filter((owner) => !oldOwners.has(owner)).map((owner) => `${owner} (added)`),
      ...[...oldOwners].filter((owner) => !freshOwners.has(owner)).map((owner) => `${owner} (removed)`),
    ],
    needsRestart: keysOf('restart'),
  }
}

function ownersOf(settings: ReadonlyMap<string, Setting>): ReadonlySet<string> {
  return new Set([...settings.values()].map(({ owner }) => owner))
}

// Values are texts, numbers, lists of texts and PEM files with their contents.
function isSame(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b)
}
