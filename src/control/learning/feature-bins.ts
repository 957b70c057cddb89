/** Most bins of a feature, missing values apart. */
export const MOST_BINS = 96
/** The bin of missing values, in every feature. */
export const MISSING_BIN = MOST_BINS
/** Bins of each feature in a histogram. */
export const BIN_STRIDE = MOST_BINS + 1
/** So many rows are enough to find borders. */
const SAMPLE_ROWS = 20_000

/** Rows of features, one after the other. */
export interface FeatureRows {
  readonly features: number
  /** Rows × features; NaN is missing. */
  readonly values: Float32Array
}

/** Rows of so many features each. */
export function rowCount({ features, values }: FeatureRows): number {
  return values.length / features
}

/** Values of a feature, cut into few pieces: bin b holds what is at most `borders[b]`, the last one the rest. */
export class FeatureBins {
  readonly borders: readonly Float32Array[]

  /** Borders between as equal parts as there are, of a sample of the rows. */
  constructor(rows: FeatureRows) {
    const { features, values } = rows
    const count = rowCount(rows)
    const step = Math.max(1, Math.floor(count / SAMPLE_ROWS))
    this.borders = Array.from({ length: features }, (_, feature) => {
      const sample: number[] = []
      for (let row = 0; row < count; row += step) {
        const value = values[row * features + feature] as number
        if (!Number.isNaN(value)) sample.push(value)
      }
      return bordersOf(Float32Array.from(sample).sort())
    })
  }

  /** The bin of each value: rows × features. */
  assign({ features, values }: FeatureRows): Uint8Array {
    const bins = new Uint8Array(values.length)
    for (let feature = 0; feature < features; feature++) {
      const borders = this.borders[feature] as Float32Array
      for (let at = feature; at < values.length; at += features) bins[at] = binOf(borders, values[at] as number)
    }
    return bins
  }
}

function bordersOf(sorted: Float32Array): Float32Array {
  const borders: number[] = []
  for (let part = 1; part < MOST_BINS; part++) {
    const value = sorted[Math.floor((part * sorted.length) / MOST_BINS)]
    const last = sorted[sorted.length - 1] as number
    if (value !== undefined && value < last && value !== borders.at(-1)) borders.push(value)
  }
  return Float32Array.from(borders)
}

function binOf(borders: Float32Array, value: number): number {
  if (Number.isNaN(value)) return MISSING_BIN
  let low = 0
  let high = borders.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (value <= (borders[middle] as number)) high = middle
    else low = middle + 1
  }
  return low
}
