import { type AnyKey, propertyName } from './key.ts'
import { type Config, schema, type sections } from './schema.ts'
import { keyPath } from './toml-text.ts'

/** One key with its value in one configuration. */
export interface Setting {
  /** `listen.port`, `databases.shop.pool_size`, `shards.db1.host`, `auth.hba[0].method`. */
  readonly key: string
  /** The section's entry it belongs to: `databases.shop`, `auth.hba`, `listen`. */
  readonly owner: string
  readonly definition: AnyKey
  readonly value: unknown
}

/** Every key of `config` with its value, in the order of the documentation. */
export function listSettings(config: Config): readonly Setting[] {
  return Object.entries(schema).flatMap(([property]) => {
    const section = schema[property as keyof typeof schema]
    const values: unknown = config[property as keyof typeof schema]
    if (section.form === 'table') return settingsOf(section.path, section.path, section.keys, values)
    return (values as readonly Record<string, unknown>[]).flatMap((entry, index) => {
      const place = placeOf(section, entry, index)
      return settingsOf(place, place, section.keys, entry)
    })
  })
}

function placeOf(section: (typeof sections)[number], entry: Record<string, unknown>, index: number): string {
  if (section.form === 'named') return keyPath(section.path, String(entry.entry))
  return section.entryName === null
    ? `${section.path}[${index}]`
    : keyPath(section.path, String(entry[section.entryName]))
}

function settingsOf(
  place: string,
  owner: string,
  keys: Readonly<Record<string, AnyKey>>,
  values: unknown,
): readonly Setting[] {
  return Object.entries(keys).map(([name, definition]) => ({
    key: keyPath(place, name),
    owner,
    definition,
    value: (values as Record<string, unknown>)[propertyName(name, definition)],
  }))
}
