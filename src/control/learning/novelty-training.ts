import { NOVELTY_FEATURES, NoveltyDetector, type NoveltyHeader, standardise } from '../../analyzer/novelty.ts'
import { seededRandom } from '../../util/seeded-random.ts'

const CLUSTERS = 64
const ROUNDS = 12
/** Fewer rows than this say nothing of what is normal. */
const LEAST_ROWS = 200
/** Part of the later rows that lie within reach. */
const WITHIN = 0.98

/**
 * What behaviour there is in `training`, vectors of connections with evidence, by k-means from spread-out beginnings
 * (Arthur and Vassilvitskii 2007); `validation`: vectors of later connections, which tell how far is far. Null when there
 * are too few of either.
 */
export function learnNovelty(
  training: readonly Float32Array[],
  validation: readonly Float32Array[],
  seed: number,
): NoveltyHeader | null {
  if (training.length < LEAST_ROWS || validation.length < LEAST_ROWS / 4) return null
  const features = NOVELTY_FEATURES
  const moments = features.map((feature) => momentsOf(training, feature))
  const means = moments.map(({ mean }) => round(mean))
  const deviations = moments.map(({ deviation }) => round(deviation))
  const points = training.map((vector) => pointOf(vector, features, means, deviations))
  const centres = clusters(points, seededRandom(seed))
  const half = features.length
  const header = {
    features,
    means,
    deviations,
    centres: centres.flatMap((centre) => Array.from(centre.subarray(0, half), round)),
    missing: centres.flatMap((centre) => Array.from(centre.subarray(half), round)),
  }
  const detector = new NoveltyDetector({ ...header, reach: 1 })
  const distances = validation.map((vector) => detector.distance(vector)).sort((a, b) => a - b)
  return { ...header, reach: Math.max(1e-3, round(distances[Math.floor(WITHIN * (distances.length - 1))] as number)) }
}

/** Short in a file; four digits are more than training is sure of. */
function round(value: number): number {
  return Number(value.toPrecision(4))
}

function momentsOf(vectors: readonly Float32Array[], feature: number): { mean: number; deviation: number } {
  const known = vectors.map((vector) => vector[feature] as number).filter((value) => !Number.isNaN(value))
  const count = Math.max(1, known.length)
  const mean = known.reduce((sum, value) => sum + value, 0) / count
  const deviation = Math.sqrt(known.reduce((sum, value) => sum + (value - mean) ** 2, 0) / count)
  // What was always the same is compared as it is.
  return { mean, deviation: deviation > 1e-6 ? deviation : 1 }
}

/** Standardised values, then which of them are missing. */
function pointOf(
  vector: Float32Array,
  features: readonly number[],
  means: readonly number[],
  deviations: readonly number[],
): Float64Array {
  const point = new Float64Array(2 * features.length)
  for (const [at, feature] of features.entries()) {
    const value = standardise(vector[feature] as number, means[at] as number, deviations[at] as number)
    point[at] = Number.isNaN(value) ? 0 : value
    point[features.length + at] = Number.isNaN(value) ? 1 : 0
  }
  return point
}

function clusters(points: readonly Float64Array[], random: () => number): readonly Float64Array[] {
  const centres = beginnings(points, random)
  for (let round = 0; round < ROUNDS; round++) {
    const sums = centres.map(({ length }) => new Float64Array(length))
    const counts = new Int32Array(centres.length)
    for (const point of points) {
      const nearest = nearestOf(point, centres).index
      counts[nearest]! += 1
      const sum = sums[nearest] as Float64Array
      for (let at = 0; at < sum.length; at++) sum[at]! += point[at] as number
    }
    for (const [index, sum] of sums.entries()) {
      const count = counts[index] as number
      if (count > 0) centres[index] = sum.map((value) => value / count)
    }
  }
  return centres
}

/** Points far from each other: each is chosen with a likelihood that grows with the square of its distance to the others. */
function beginnings(points: readonly Float64Array[], random: () => number): Float64Array[] {
  const centres = [points[Math.floor(random() * points.length)] as Float64Array]
  const distances = points.map((point) => squared(point, centres[0] as Float64Array))
  while (centres.length < CLUSTERS) {
    const chosen = points[draw(distances, random)]
    // All points are centres already.
    if (chosen === undefined) break
    centres.push(chosen)
    for (const [index, point] of points.entries()) {
      distances[index] = Math.min(distances[index] as number, squared(point, chosen))
    }
  }
  return centres
}

/** A place, as likely as its weight says; -1: no weight is above zero. */
function draw(weights: readonly number[], random: () => number): number {
  let left = random() * weights.reduce((sum, weight) => sum + weight, 0)
  return weights.findIndex((weight) => {
    left -= weight
    return left < 0
  })
}

function nearestOf(point: Float64Array, centres: readonly Float64Array[]): { index: number; distance: number } {
  let nearest = { index: 0, distance: Number.POSITIVE_INFINITY }
  for (const [index, centre] of centres.entries()) {
    const distance = squared(point, centre)
    if (distance < nearest.distance) nearest = { index, distance }
  }
  return nearest
}

function squared(a: Float64Array, b: Float64Array): number {
  let sum = 0
  for (let at = 0; at < a.length; at++) sum += ((a[at] as number) - (b[at] as number)) ** 2
  return sum
}
