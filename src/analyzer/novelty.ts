import { FEATURE, FEATURE_COUNT } from './feature-schema.ts'

/**
 * What behaviour a model has learned from: the centres of clusters of its training rows in a space of standardised
 * features, and how far from the nearest one connections of later days were. Part of a model file. Numbers of features ×
 * centres, centre after centre.
 */
export interface NoveltyHeader {
  /** Positions in a vector. */
  readonly features: readonly number[]
  /** Of each feature in training. */
  readonly means: readonly number[]
  readonly deviations: readonly number[]
  /** Standardised values, and the part of the cluster's rows in which each was missing. */
  readonly centres: readonly number[]
  readonly missing: readonly number[]
  /** Of what is further away than this from every centre, training has seen nothing like it. */
  readonly reach: number
}

/** A single value counts no more than so many standard deviations. */
export const MOST_DEVIATIONS = 4

/** What of a connection's behaviour is compared: not who it is, how old it is, or what depends on the machine it is on. */
export const NOVELTY_FEATURES: readonly number[] = Object.freeze(
  Object.values(FEATURE).filter(
    (feature) =>
      feature >= FEATURE.rateFast &&
      feature <= FEATURE.thinkSpread &&
      feature !== FEATURE.siblings &&
      feature !== FEATURE.cancels,
  ),
)

/**
 * Tells connections that behave like none of the training's: a softmax is as sure of those as of any (distance to
 * clusters, as in Lee et al. 2018, "A Simple Unified Framework for Detecting Out-of-Distribution Samples").
 */
export class NoveltyDetector {
  readonly #header: NoveltyHeader
  readonly #values: Float64Array
  readonly #gaps: Float64Array

  constructor(header: NoveltyHeader) {
    this.#header = header
    this.#values = new Float64Array(header.features.length)
    this.#gaps = new Float64Array(header.features.length)
  }

  /** Whether the connection with this vector is like nothing in training. Allocates nothing. */
  isNovel(vector: Float32Array): boolean {
    const { reach } = this.#header
    return this.distance(vector, reach * reach) > reach
  }

  /** How far the nearest centre is; none nearer than the square root of `enough` is looked for. */
  distance(vector: Float32Array, enough = 0): number {
    this.#standardise(vector)
    const { centres, missing, features } = this.#header
    const width = features.length
    let least = Number.POSITIVE_INFINITY
    for (let from = 0; from < centres.length && least > enough; from += width) {
      let sum = 0
      for (let at = 0; at < width && sum < least; at++) {
        const apart = (this.#values[at] as number) - (centres[from + at] as number)
        const gap = (this.#gaps[at] as number) - (missing[from + at] as number)
        sum += apart * apart + gap * gap
      }
      if (sum < least) least = sum
    }
    return Math.sqrt(least)
  }

  #standardise(vector: Float32Array): void {
    const { features, means, deviations } = this.#header
    for (let at = 0; at < features.length; at++) {
      const value = standardise(vector[features[at] as number] as number, means[at] as number, deviations[at] as number)
      const isMissing = Number.isNaN(value)
      this.#values[at] = isMissing ? 0 : value
      this.#gaps[at] = isMissing ? 1 : 0
    }
  }
}

/** In standard deviations from the mean; NaN stays what it is. */
export function standardise(value: number, mean: number, deviation: number): number {
  return Math.max(-MOST_DEVIATIONS, Math.min(MOST_DEVIATIONS, (value - mean) / deviation))
}

/** What is wrong with the part of a model file, or null. */
export function noveltyProblem(header: NoveltyHeader): string | null {
  const { features, means, deviations, centres, missing, reach } = header
  const lists: readonly unknown[] = [features, means, deviations, centres, missing]
  if (!lists.every((list) => Array.isArray(list) && list.every(Number.isFinite))) return 'not numbers only'
  const width = features.length
  if (width === 0 || means.length !== width || deviations.length !== width) return 'lists of different lengths'
  if (centres.length === 0 || centres.length % width !== 0 || centres.length !== missing.length)
    return 'a centre is cut'
  if (!features.every((feature) => Number.isInteger(feature) && feature >= 0 && feature < FEATURE_COUNT)) {
    return 'a feature that there is not'
  }
  if (!deviations.every((deviation) => deviation > 0) || !(reach > 0)) return 'a distance that is not above zero'
  return null
}
