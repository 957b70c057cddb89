import type { AnyKey, AnySection } from './key.ts'
import { sections } from './schema.ts'
import type { JsonSchema } from './value-type.ts'

/** The JSON Schema of the configuration file, for editors that check TOML with one. */
export function configJsonSchema(): JsonSchema {
  const top = sections.filter(({ path }) => !path.includes('.'))
  return {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    title: 'Switchyard configuration',
    type: 'object',
    properties: Object.fromEntries(top.map((section) => [section.path, sectionSchema(section)])),
    required: top.filter(isRequired).map(({ path }) => path),
    additionalProperties: false,
  }
}

function isRequired(section: AnySection): boolean {
  return section.path === 'shards' || (section.form === 'table' && requiredKeys(section).length > 0)
}

function requiredKeys(section: AnySection): readonly string[] {
  return Object.entries(section.keys).flatMap(([name, key]) => (key.presence === 'required' ? [name] : []))
}

function sectionSchema(section: AnySection): JsonSchema {
  const description = plain(section.doc)
  if (section.form === 'list') {
    const least = isRequired(section) ? { minItems: 1 } : {}
    return { description, type: 'array', ...least, items: tableSchema(section) }
  }
  if (section.form === 'named') return { description, type: 'object', additionalProperties: tableSchema(section) }
  return { description, ...tableSchema(section) }
}

function tableSchema(section: AnySection): JsonSchema {
  const parts = sections.filter(({ path }) => path.startsWith(`${section.path}.`))
  const properties = {
    ...Object.fromEntries(Object.entries(section.keys).map(([name, key]) => [name, keySchema(key)])),
    ...Object.fromEntries(parts.map((part) => [part.path.slice(section.path.length + 1), sectionSchema(part)])),
  }
  const required = requiredKeys(section)
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), additionalProperties: false }
}

function keySchema(key: AnyKey): JsonSchema {
  const known = key.presence === 'default' ? { default: key.default } : { examples: [key.example] }
  return { description: `${plain(key.doc)} Allowed: ${key.type.allowed}.`, ...key.type.jsonSchema, ...known }
}

function plain(markdown: string): string {
  return markdown.replaceAll('`', '')
}
