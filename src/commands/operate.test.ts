import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consoleCommand } from './operate.ts'

test('names are quoted, so that none is taken for something else', () => {
  const plain = { name: 'shard-1', to: null, isDryRun: false }
  assert.equal(consoleCommand({ ...plain, command: 'RESTART' }), 'RESTART "shard-1"')
  assert.equal(
    consoleCommand({ command: 'SWITCHOVER', name: 'Ma"in', to: 'to', isDryRun: true }),
    'SWITCHOVER "Ma""in" TO "to" DRY RUN',
  )
})
