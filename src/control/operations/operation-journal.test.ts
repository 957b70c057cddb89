import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import type { OperationRecord } from './operation.ts'
import { OperationJournal } from './operation-journal.ts'

function open(t: TestContext) {
  const directory = mkdtempSync(join(tmpdir(), 'sy-journal-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const ignored: string[] = []
  return { directory, ignored, journal: () => new OperationJournal(directory, (reason) => ignored.push(reason)) }
}

const record = (id: number, step = ''): OperationRecord => ({
  id,
  request: { kind: 'restart', shard: 'one' },
  state: 'running',
  step,
  done: 0,
  steps: 0,
  startedAt: 1,
  endedAt: 0,
  heldMs: 0,
  finished: [],
  detail: '',
})

test('the next process finds what the last one wrote', (t) => {
  const { journal, ignored } = open(t)
  const first = journal()
  first.record(record(1))
  first.record(record(2))
  first.record(record(1, 'stop'))
  first.drained(['two'])
  assert.deepEqual(journal().state, { operations: [record(1, 'stop'), record(2)], drained: ['two'] })
  assert.deepEqual(ignored, [])
})

test('only the last fifty are kept', (t) => {
  const { journal } = open(t)
  const first = journal()
  for (let id = 1; id <= 60; id++) first.record(record(id))
  assert.deepEqual([journal().state.operations.length, journal().state.operations[0]?.id], [50, 11])
})

test('a file that is something else is begun anew, and somebody is told', (t) => {
  const { directory, journal, ignored } = open(t)
  for (const text of ['not JSON', '[]', '{"operations":[]}']) {
    writeFileSync(join(directory, 'operations.json'), text)
    assert.deepEqual(journal().state, { operations: [], drained: [] })
  }
  assert.equal(ignored.length, 3)
})
