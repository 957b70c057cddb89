import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { TimelineLedger } from './timeline-ledger.ts'

test('what was seen outlives the process, and what an operator deletes is forgotten', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-timelines-'))
  t.after(() => rmSync(directory, { recursive: true, force: true }))
  const ignored: string[] = []
  const open = () => new TimelineLedger(directory, (reason) => ignored.push(reason))
  const first = open()
  assert.deepEqual(first.seen, {})
  const seen = { system: '7', timeline: 2, shard: 'one' }
  first.note('main', seen)
  first.note('other', { ...seen, timeline: 3 })
  assert.deepEqual(open().seen, { main: seen, other: { ...seen, timeline: 3 } })
  writeFileSync(first.path, JSON.stringify({ other: seen }))
  first.read()
  assert.deepEqual(first.seen, { other: seen })
  assert.deepEqual(ignored, [])
  for (const wrong of ['[]', '{"main": {"timeline": 2}}', '{"main": null}', 'no']) {
    writeFileSync(first.path, wrong)
    assert.deepEqual(open().seen, {})
  }
  assert.equal(ignored.length, 4)
  rmSync(directory, { recursive: true })
  first.note('main', seen)
  assert.match(ignored.at(-1) ?? '', /cannot be written/)
})
