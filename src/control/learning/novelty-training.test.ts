import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { FEATURE, FEATURE_COUNT } from '../../analyzer/feature-schema.ts'
import { NoveltyDetector, type NoveltyHeader, noveltyProblem } from '../../analyzer/novelty.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { learnNovelty } from './novelty-training.ts'

const random = seededRandom(11)

/** Behaves around these values; what is not named is always missing. */
function vectorOf(around: Partial<Record<keyof typeof FEATURE, number>>): Float32Array {
  const vector = new Float32Array(FEATURE_COUNT).fill(Number.NaN)
  for (const [name, value] of Object.entries(around)) vector[FEATURE[name as keyof typeof FEATURE]] = value + random()
  return vector
}

/** Two kinds of clients: quick ones that think, and slow ones with many rows that do not. */
const quick = () => vectorOf({ duration: 0, rows: 1, thinkTime: 8, selects: 0 })
const slow = () => vectorOf({ duration: 9, rows: 12, thinkTime: 1, selects: 0 })
const many = (count: number) => Array.from({ length: count }, (_, at) => (at % 2 === 0 ? quick() : slow()))

describe('behaviour that training has seen', () => {
  const header = learnNovelty(many(1000), many(400), 1) as NoveltyHeader
  const detector = new NoveltyDetector(header)

  it('is not new when it comes again', () => {
    assert.ok(many(1000).filter((vector) => detector.isNovel(vector)).length < 40)
  })

  it('is new when it is somewhere else, in between, or lacks what all had', () => {
    assert.ok(detector.isNovel(vectorOf({ duration: 20, rows: 1, thinkTime: 8, selects: 0 })))
    assert.ok(detector.isNovel(vectorOf({ duration: 4, rows: 6, thinkTime: 4, selects: 0 })))
    assert.ok(detector.isNovel(vectorOf({ duration: 0, rows: 1, thinkTime: 8 })))
  })

  it('does not depend on who it is', () => {
    const named = quick()
    const distance = detector.distance(named)
    named[FEATURE.userId] = 200
    named[FEATURE.identityRows] = 77
    assert.equal(detector.distance(named), distance)
  })

  it('is the same for the same seed', () => {
    const rows = many(400)
    assert.deepEqual(learnNovelty(rows, rows, 4), learnNovelty(rows, rows, 4))
    assert.notDeepEqual(learnNovelty(rows, rows, 4)?.centres, learnNovelty(rows, rows, 5)?.centres)
  })

  it('is nothing to go by when it is little', () => assert.equal(learnNovelty(many(199), many(400), 1), null))

  it('is found with fewer kinds than centres', () => {
    const same = quick()
    const rows = Array.from({ length: 300 }, () => same)
    const found = learnNovelty(rows, rows, 1) as NoveltyHeader
    assert.equal(noveltyProblem(found), null)
    assert.ok(!new NoveltyDetector(found).isNovel(same))
  })

  for (const [what, change] of [
    ['a feature that there is not', { features: [...header.features.slice(1), FEATURE_COUNT] }],
    ['lists of different lengths', { means: header.means.slice(1) }],
    ['a centre is cut', { centres: header.centres.slice(1) }],
    ['not numbers only', { missing: [...header.missing.slice(1), null as unknown as number] }],
    ['a distance that is not above zero', { reach: Number.NaN }],
  ] as const) {
    it(`in a damaged file is refused: ${what}`, () => assert.equal(noveltyProblem({ ...header, ...change }), what))
  }

  it('is damaged in no way when it was just made', () => assert.equal(noveltyProblem(header), null))
})
