import { resolve } from 'node:path'
import type { AnyKey, Changeable } from './key.ts'
import { absentValue } from './read-section.ts'
import type { Config } from './schema.ts'
import { listSettings } from './settings.ts'

/** A row of `SHOW CONFIG`; its columns are PgBouncer's. */
export interface ConfigRow {
  readonly key: string
  /** As one would write it; empty when not set; `********` for a secret that is set. */
  readonly value: string
  readonly default: string
  readonly changeable: Changeable
}

/** The rows of `SHOW CONFIG`. */
export function describeConfig(config: Config): readonly ConfigRow[] {
  return listSettings(config).map(({ key, definition, value }) => ({
    key,
    value: shown(definition, value),
    default: shown(definition, defaultOf(definition)),
    changeable: definition.changeable,
  }))
}

function defaultOf(definition: AnyKey): unknown {
  return absentValue(definition, { directory: resolve('.'), readFile: () => '' })
}

function shown(definition: AnyKey, value: unknown): string {
  return value === null || value === undefined ? '' : definition.type.show(value)
}
