import { FEATURE, FEATURE_NAMES, type FeatureName } from './feature-schema.ts'
import type { NoveltyHeader } from './novelty.ts'
import { encodeModel, type ModelFile } from './tier-model.ts'
import { makeVocabulary, NO_VOCABULARY, type Vocabulary } from './vocabulary.ts'

/**
 * For tests: a model with one question. Connections whose `feature` is at most `threshold` are `low`est in importance by
 * `below`, the others by `above`: scores in the order of the tiers.
 */
export function oneQuestionModel(
  feature: FeatureName,
  threshold: number,
  below: readonly number[],
  above: readonly number[],
  vocabulary: Vocabulary = NO_VOCABULARY,
  novelty: NoveltyHeader | null = null,
): ModelFile {
  const mean = below.map((score, k) => (score + (above[k] as number)) / 2)
  const header = {
    temperature: 1,
    thresholds: [0.6, 0.6, 0.6, 0.6],
    vocabulary,
    quantiles: FEATURE_NAMES.map(() => []),
    ...(novelty === null ? {} : { novelty }),
    about: { name: 'one question' },
  }
  return encodeModel(header, {
    base: new Float32Array(4),
    roots: Int32Array.of(0),
    feature: Uint8Array.of(FEATURE[feature]),
    threshold: Float32Array.of(threshold),
    left: Int32Array.of(-1),
    right: Int32Array.of(-2),
    missing: Int32Array.of(-1),
    leaves: Float32Array.from([...below, ...above]),
    expected: Float32Array.from(mean),
  })
}

/** Of these users with these applications. */
export function vocabularyOf(...pairs: readonly (readonly [user: string, application: string])[]): Vocabulary {
  return makeVocabulary(pairs.map(([user, application]) => ({ user, application, database: 'shop', subnet: 'local' })))
}
