import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { parse } from 'smol-toml'
import { configJsonSchema } from './json-schema.ts'

type Schema = { readonly [keyword: string]: unknown }

const keywords = new Set(
  ['$schema', 'title', 'description', 'default', 'examples', 'type', 'enum', 'pattern', 'minimum', 'maximum'].concat([
    'minLength',
    'maxLength',
    'minItems',
    'items',
    'anyOf',
    'properties',
    'required',
    'additionalProperties',
  ]),
)

/** The keywords that the schema uses, as https://json-schema.org/draft/2020-12 defines them. */
function isValid(schema: Schema, value: unknown): boolean {
  for (const keyword of Object.keys(schema)) assert.ok(keywords.has(keyword), `unknown keyword ${keyword}`)
  const { enum: words, anyOf } = schema as { enum?: unknown[]; anyOf?: Schema[] }
  if (words !== undefined && !words.includes(value)) return false
  if (anyOf !== undefined && !anyOf.some((each) => isValid(each, value))) return false
  if (schema.type !== undefined && ![schema.type].flat().some((type) => isOfType(String(type), value))) return false
  if (typeof value === 'string') return isValidText(schema, value)
  if (typeof value === 'number') {
    return value >= Number(schema.minimum ?? value) && value <= Number(schema.maximum ?? value)
  }
  if (Array.isArray(value)) {
    const items = (schema.items ?? {}) as Schema
    return value.length >= Number(schema.minItems ?? 0) && value.every((each) => isValid(items, each))
  }
  return typeof value === 'object' && value !== null ? isValidTable(schema, value as Schema) : true
}

function isOfType(type: string, value: unknown): boolean {
  if (type === 'array') return Array.isArray(value)
  if (type === 'object') return typeof value === 'object' && value !== null && !Array.isArray(value)
  return type === 'integer' ? Number.isInteger(value) : typeof value === type
}

function isValidText(schema: Schema, value: string): boolean {
  const isLong = value.length >= Number(schema.minLength ?? 0)
  const isShort = value.length <= Number(schema.maxLength ?? Number.POSITIVE_INFINITY)
  return isLong && isShort && (typeof schema.pattern !== 'string' || new RegExp(schema.pattern, 'u').test(value))
}

function isValidTable(schema: Schema, value: Schema): boolean {
  const properties = (schema.properties ?? {}) as Record<string, Schema>
  const rest = schema.additionalProperties
  const required = (schema.required ?? []) as string[]
  if (!required.every((name) => name in value)) return false
  return Object.entries(value).every(([name, each]) => {
    const own = Object.hasOwn(properties, name) ? properties[name] : undefined
    if (own !== undefined) return isValid(own, each)
    return rest === false ? false : isValid((rest ?? {}) as Schema, each)
  })
}

const minimal = '[[shards]]\nname = "db1"\nhost = "db1"\n[monitor]\nuser = "watch"\n'
const schema = configJsonSchema()

test('docs/config.schema.json is what the schema says; run `npm run docs` when it is not', () => {
  const committed = readFileSync(new URL('../../docs/config.schema.json', import.meta.url), 'utf8')
  assert.equal(committed, `${JSON.stringify(schema, null, 2)}\n`)
})

test('the JSON Schema takes what Switchyard takes', () => {
  const example = readFileSync(new URL('../../config/example.toml', import.meta.url), 'utf8')
  const more = ['[timeouts]\nquery = 5\nquery_wait = "1h30m"', '[limits]\nbuffer_memory = "64MB"', '[databases."*"]']
  const rules = ['user = "a"', 'address = ["10.0.0.0/8", "::1"]'].map(
    (line) => `[[auth.hba]]\ntype = "host"\nmethod = "md5"\n${line}`,
  )
  for (const text of [example, minimal, ...[...more, ...rules].map((part) => minimal + part)]) {
    assert.equal(isValid(schema, parse(text)), true, text)
  }
})

test('the JSON Schema refuses what an editor can see to be wrong', () => {
  const wrong = [
    '[monitor]\nuser = "watch"\n',
    '[[shards]]\nname = "db1"\nhost = "db1"\n',
    ...[
      '[listen]\nprot = 1',
      '[listen]\nport = 70000',
      '[listen]\naddresses = ["*"]',
      '[timeouts]\nquery = "5 minutes"',
      '[timeouts]\nquery = -1',
      '[limits]\nbuffer_memory = "1TB"',
      '[databases.shop]\npool_mode = "statement"',
      '[[auth.hba]]\ntype = "host"',
      '[[users]]\nname = ""',
      '[limit]',
    ].map((part) => minimal + part),
  ]
  for (const text of wrong) assert.equal(isValid(schema, parse(text)), false, text)
})
