import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { configDocs } from './config-docs.ts'
import { parseConfig } from './load-config.ts'
import { sections } from './schema.ts'

const docs = configDocs()

test('docs/config.md is what the schema says; run `npm run docs` when it is not', () => {
  assert.equal(readFileSync(new URL('../../docs/config.md', import.meta.url), 'utf8'), docs)
})

test('every key has a row in its section', () => {
  const parts = docs.split('\n## ')
  for (const { path, keys } of sections) {
    const part = parts.find((each) => new RegExp(`^\`\\[+${path.replace('.', '\\.')}[.\\]]`).test(each)) ?? ''
    for (const name of Object.keys(keys)) assert.match(part, new RegExp(`\\n\\| \`${name}\``), `${path}.${name}`)
  }
})

test('every row of a table has as many cells as its head', () => {
  let cells = 0
  for (const line of docs.split('\n')) {
    if (!line.startsWith('|')) cells = 0
    else if (cells === 0) cells = line.split(/(?<!\\)\|/).length
    else assert.equal(line.split(/(?<!\\)\|/).length, cells, line)
  }
})

test('the least configuration of the documentation is one', () => {
  const [, toml = ''] = /```toml\n([\s\S]*?)```/.exec(docs) ?? []
  const config = parseConfig(toml, { file: 'docs', directory: '/', environment: {} })
  assert.equal(config.users[0]?.name, 'app')
})
