import assert from 'node:assert/strict'
import { test } from 'node:test'
import { operationArgument } from './operation-argument.ts'
import { splitStatements } from './tokens.ts'

const read = (text: string, takesTo = true) => operationArgument('SWITCHOVER', splitStatements(text)[0] ?? [], takesTo)

test('names are words joined by hyphens and dots, or quoted', () => {
  for (const [text, name] of [
    ['shard-1', 'shard-1'],
    ['db1.eu-west', 'db1.eu-west'],
    ['Main', 'main'],
    ['"Main"', 'Main'],
    ["'a b'", 'a b'],
    ['7', '7'],
  ] as const) {
    assert.deepEqual(read(text), { name, to: null, isDryRun: false })
  }
})

test('TO and DRY RUN may follow', () => {
  assert.deepEqual(read('main TO shard-2'), { name: 'main', to: 'shard-2', isDryRun: false })
  assert.deepEqual(read("main TO '/usr/lib/postgresql/18/bin' dry run"), {
    name: 'main',
    to: '/usr/lib/postgresql/18/bin',
    isDryRun: true,
  })
  assert.deepEqual(read('shard-1 DRY RUN', false), { name: 'shard-1', to: null, isDryRun: true })
})

test('what cannot be meant is refused', () => {
  for (const text of ['', 'main TO', 'main DRY', 'main RUN', 'main to a b', 'main dry run now', '- main', 'a -']) {
    assert.throws(() => read(text), { sqlstate: '42601' }, text)
  }
  assert.throws(() => read('shard-1 TO shard-2', false), { sqlstate: '42601' })
})
