import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NativeBuffer } from '../io/native.ts'
import { ParameterRegistry } from '../session/parameters.ts'
import { ServerWork } from './server-work.ts'

const registry = new ParameterRegistry()
const settings = registry.of([])
const others = registry.of([['work_mem', '1MB']])
const source = NativeBuffer.allocate(4096)

test('a request outside of a transaction begins anew: with the settings of now, and nothing written', () => {
  const work = new ServerWork()
  assert.equal(work.begin(true, settings), true)
  work.hasWritten = true
  work.isCancelled = true
  assert.equal(work.begin(true, others), true)
  assert.deepEqual([work.startedWith, work.hasWritten, work.isCancelled], [others, false, false])
})

test('a request in a transaction that is kept goes on: only a cancelled one is no longer', () => {
  const work = new ServerWork()
  work.sent.transactionBytes = 4096
  work.begin(true, settings)
  work.sent.note(source, 0, 10)
  work.hasWritten = true
  work.isCancelled = true
  assert.equal(work.begin(false, others), false)
  assert.deepEqual([work.startedWith, work.hasWritten, work.isCancelled], [settings, true, false])
  assert.equal(work.sent.whole?.length, 10)
})
