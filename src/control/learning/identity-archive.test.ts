import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openTestMemory, TestAnalyzer } from '../../analyzer/analyzer.fixture.ts'
import { FEATURE, FEATURE_COUNT } from '../../analyzer/feature-schema.ts'
import { fillFeatures } from '../../analyzer/feature-vector.ts'
import { oneQuestionModel } from '../../analyzer/model.fixture.ts'
import { loadIdentities, saveIdentities } from './identity-archive.ts'

const QUICK_IS_HIGH = oneQuestionModel('duration', 4, [4, 0, 0, 0], [0, 0, 0, 4])

/** A router in which an identity ran slow queries, and what was saved of it. */
function save(): string {
  const test = new TestAnalyzer()
  test.analyzer.setModel(QUICK_IS_HIGH, test.now)
  test.connect(0, { user: 'stranger', application: 'job-1' })
  for (let query = 0; query < 20; query++) test.request(0, { ms: 400 })
  test.analyzer.disconnected(0, test.now)
  return saveIdentities(test.memory, test.now)
}

test('identities are after a restart what they were: their tier and what they do', () => {
  const memory = openTestMemory()
  loadIdentities(memory, save(), 1_010_000)
  const next = new TestAnalyzer({}, [], memory)
  next.connect(5, { user: 'stranger', application: 'job-2' })
  assert.equal(next.tierOf(5), 'background')
  assert.equal(next.analyzer.identities.size, 1)
  const vector = new Float32Array(FEATURE_COUNT)
  fillFeatures(vector, memory, 5, next.now)
  assert.ok((vector[FEATURE.identityDuration] as number) > 8, '400 ms')
})

test('what is long ago counts for less, and names stay', () => {
  const memory = openTestMemory()
  loadIdentities(memory, save(), 1_010_000 + 24 * 3_600_000)
  const next = new TestAnalyzer({}, [], memory)
  next.connect(5, { user: 'stranger', application: 'job-2' })
  const vector = new Float32Array(FEATURE_COUNT)
  fillFeatures(vector, memory, 5, next.now)
  assert.ok(Number.isNaN(vector[FEATURE.identityDuration]))
  assert.equal(next.tierOf(5), 'background')
})

test('another format is refused', () => {
  assert.throws(() => loadIdentities(openTestMemory(), '{"format":99,"identities":[]}', 0), /format 99/)
})
