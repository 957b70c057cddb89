import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { parse } from 'smol-toml'
import { loadConfig } from './load-config.ts'
import { sections } from './schema.ts'

const path = fileURLToPath(new URL('../../config/example.toml', import.meta.url))

interface Line {
  readonly section: string
  readonly name: string
  /** Undefined: only an example, as its comment says. */
  readonly value: unknown
  readonly isDefault: boolean
}

/** Every key in the file, written or commented out, with the section it stands in. */
function keyLines(): readonly Line[] {
  let section = ''
  return readFileSync(path, 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, header] = /^\[+([^\]]+)\]+/.exec(line) ?? []
      if (header !== undefined) section = header.startsWith('databases.') ? 'databases' : header
      const [, comment, assignment = '', name = ''] = /^(#?)(([a-z_]+) = .*)$/.exec(line) ?? []
      if (name === '') return []
      const isDefault = comment === '#' && !/# example/.test(line)
      return [{ section, name, value: parse(assignment)[name], isDefault }]
    })
}

test('the example loads', () => {
  const config = loadConfig(path, {})
  assert.deepEqual(
    config.shards.map(({ name }) => name),
    ['db1', 'db2', 'archive1'],
  )
})

test('the example mentions every key in its section', () => {
  const mentioned = new Set(keyLines().map(({ section, name }) => `${section}.${name}`))
  for (const { path: section, keys } of sections) {
    for (const name of Object.keys(keys)) assert.ok(mentioned.has(`${section}.${name}`), `${section}.${name}`)
  }
})

test('the example mentions no key that does not exist', () => {
  for (const { section, name } of keyLines()) {
    const keys = sections.find((each) => each.path === section)?.keys ?? {}
    assert.ok(Object.hasOwn(keys, name), `${section}.${name}`)
  }
})

test('a key that is commented out shows its default, unless it says that it is an example', () => {
  for (const { section, name, value, isDefault } of keyLines()) {
    const key = sections.find((each) => each.path === section)?.keys[name]
    if (isDefault) assert.deepEqual(value, key?.default, `${section}.${name}`)
  }
})
