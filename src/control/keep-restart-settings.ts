import { propertyName } from '../config/key.ts'
import { type Config, schema } from '../config/schema.ts'

/** `after` with the values of `running` for all keys that a reload cannot change: what applies from now on. */
export function keepRestartSettings(running: Config, after: Config): Config {
  const result: Record<string, unknown> = { ...after }
  for (const [property, section] of Object.entries(schema)) {
    if (section.form !== 'table') continue
    const name = property as keyof typeof schema
    const values: Record<string, unknown> = { ...after[name] }
    const before = running[name] as unknown as Record<string, unknown>
    for (const [key, definition] of Object.entries(section.keys)) {
      if (definition.changeable !== 'restart') continue
      const at = propertyName(key, definition)
      values[at] = before[at]
    }
    result[property] = Object.freeze(values)
  }
  // Each value is one of two configurations' at the same place.
  return Object.freeze(result) as unknown as Config
}
