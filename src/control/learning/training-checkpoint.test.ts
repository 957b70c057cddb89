import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { seededRandom } from '../../util/seeded-random.ts'
import { TrainingCheckpoint } from './training-checkpoint.ts'
import { DEFAULT_TRAINING, type LabelledRows, trainTrees } from './tree-trainer.ts'

const directory = mkdtempSync(join(tmpdir(), 'switchyard-training-'))
after(() => rmSync(directory, { recursive: true }))

function makeRows(count: number, seed: number): LabelledRows {
  const random = seededRandom(seed)
  const values = Float32Array.from({ length: count * 3 }, random)
  const labels = Uint8Array.from({ length: count }, (_, row) => ((values[row * 3] as number) > 0.5 ? 1 : 2))
  return { features: 3, values, labels, weights: new Float32Array(count).fill(1) }
}

class Interrupted extends Error {}

describe('a training that was interrupted', () => {
  const training = makeRows(800, 1)
  const validation = makeRows(200, 2)
  const whole = trainTrees(training, validation, DEFAULT_TRAINING)
  const path = join(directory, 'models', 'candidate.checkpoint')

  it('goes on where it was, and ends with the same trees', () => {
    const checkpoint = new TrainingCheckpoint(path)
    assert.deepEqual(checkpoint.load(training, validation, 1), [])
    const interrupt = (): void => {
      trainTrees(training, validation, {
        ...DEFAULT_TRAINING,
        onTree: (trees) => {
          checkpoint.save(trees)
          if (trees.length === 5) throw new Interrupted()
        },
      })
    }
    assert.throws(interrupt, Interrupted)
    const begun = new TrainingCheckpoint(path).load(training, validation, 1)
    assert.equal(begun.length, 5)
    assert.deepEqual(trainTrees(training, validation, { ...DEFAULT_TRAINING, begun }), whole)
  })

  it('begins anew with other rows or another seed, and when the file is damaged', () => {
    const checkpoint = new TrainingCheckpoint(path)
    assert.deepEqual(checkpoint.load(makeRows(800, 3), validation, 1), [])
    assert.deepEqual(checkpoint.load(training, validation, 2), [])
    writeFileSync(path, '{"digest":')
    assert.deepEqual(checkpoint.load(training, validation, 1), [])
    checkpoint.remove()
    assert.equal(existsSync(path), false)
  })
})
