import { TIERS } from '../../shard/tier.ts'

/** What a mistake costs: row, what it is; column, what it was taken for. To hold an important one back is worst. */
export const COSTS: readonly (readonly number[])[] = [
  [0, 2, 5, 10],
  [1, 0, 2, 5],
  [2, 1, 0, 1],
  [4, 2, 1, 0],
]
const CALIBRATION_BINS = 10

/** Of the rows of one class; shares from 0 to 1. */
export interface ClassMetrics {
  readonly precision: number
  readonly recall: number
  readonly f1: number
  readonly rows: number
}

/** How well rows were told apart; shares from 0 to 1. */
export interface Metrics {
  readonly rows: number
  readonly accuracy: number
  /** The mean F1 of the classes that there are. */
  readonly macroF1: number
  /** Mean cost of a row by `COSTS`. */
  readonly cost: number
  readonly classes: Readonly<Record<string, ClassMetrics>>
  /** Rows by what they are, then by what they were taken for. */
  readonly confusion: readonly (readonly number[])[]
}

/** How well `predicted` is `actual`: tier codes of the same rows. */
export function measure(actual: ArrayLike<number>, predicted: ArrayLike<number>): Metrics {
  const confusion = TIERS.map(() => TIERS.map(() => 0))
  for (let row = 0; row < actual.length; row++) {
    const line = confusion[actual[row] as number] as number[]
    line[predicted[row] as number]! += 1
  }
  const classes = Object.fromEntries(TIERS.map((tier, k) => [tier, classMetrics(confusion, k)]))
  const present = Object.values(classes).filter(({ rows }) => rows > 0)
  const right = confusion.reduce((sum, line, k) => sum + (line[k] as number), 0)
  const cost = confusion.reduce(
    (sum, line, k) => sum + line.reduce((part, count, j) => part + count * (COSTS[k]?.[j] as number), 0),
    0,
  )
  const rows = actual.length
  return {
    rows,
    accuracy: rows === 0 ? Number.NaN : right / rows,
    macroF1: present.reduce((sum, { f1 }) => sum + f1, 0) / Math.max(1, present.length),
    cost: rows === 0 ? Number.NaN : cost / rows,
    classes,
    confusion,
  }
}

function classMetrics(confusion: readonly (readonly number[])[], k: number): ClassMetrics {
  const hits = confusion[k]?.[k] as number
  const rows = (confusion[k] as readonly number[]).reduce((a, b) => a + b)
  const taken = confusion.reduce((sum, line) => sum + (line[k] as number), 0)
  const precision = taken === 0 ? 0 : hits / taken
  const recall = rows === 0 ? 0 : hits / rows
  return { precision, recall, f1: precision + recall === 0 ? 0 : (2 * precision * recall) / (precision + recall), rows }
}

/** Rows of which the model is about as sure. */
export interface CalibrationBin {
  readonly rows: number
  /** Means over them. */
  readonly confidence: number
  readonly right: number
}

/** How often what is said with some confidence is right, for ten parts of it, the least sure first; empty ones are left out. */
export function calibrationBins(confidence: ArrayLike<number>, right: ArrayLike<boolean>): readonly CalibrationBin[] {
  const sums = Array.from({ length: CALIBRATION_BINS }, () => ({ rows: 0, confidence: 0, right: 0 }))
  for (let row = 0; row < confidence.length; row++) {
    const sure = confidence[row] as number
    const bin = sums[Math.min(CALIBRATION_BINS - 1, Math.floor(sure * CALIBRATION_BINS))]
    if (bin === undefined) continue
    bin.rows++
    bin.confidence += sure
    bin.right += right[row] === true ? 1 : 0
  }
  return sums
    .filter(({ rows }) => rows > 0)
    .map(({ rows, confidence, right }) => ({ rows, confidence: confidence / rows, right: right / rows }))
}

/** Expected calibration error: how far, on average, confidence is from how often it is right. */
export function calibrationError(bins: readonly CalibrationBin[]): number {
  const rows = bins.reduce((sum, bin) => sum + bin.rows, 0)
  return bins.reduce((sum, bin) => sum + bin.rows * Math.abs(bin.confidence - bin.right), 0) / Math.max(1, rows)
}
