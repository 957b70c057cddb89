import { FEATURE, FEATURE_COUNT, FEATURE_NAMES, IDENTITY_FEATURES } from '../../analyzer/feature-schema.ts'
import type { TierModel } from '../../analyzer/tier-model.ts'
import type { Logger } from '../../log.ts'
import { TIERS } from '../../shard/tier.ts'
import { EVIDENCE_QUERIES } from './dataset.ts'
import type { HistoryRow } from './history-row.ts'

/** Above this, a feature has moved; above the other, the model was made for another world. */
export const PSI_WARNING = 0.1
export const PSI_ALARM = 0.25
/** So much less sure on average than in training is worth a warning. */
const UNSURE = 0.1
/** Rows after which there is something to compare. */
const LEAST_ROWS = 500
/** What was long ago counts less: half after so many rows. */
const HALF_ROWS = 20_000
const BINS = 10

/** How far what clients do has moved from what the model was trained on. */
export interface DriftReport {
  readonly rows: number
  /** Population stability index by feature, the largest first. */
  readonly features: readonly (readonly [name: string, psi: number])[]
  /** Part of the rows whose user and application the model does not know. */
  readonly unseen: number
  /** Of the strangers with evidence, the part that behave like nobody in training. */
  readonly novel: number
  /** How sure the model is, on average, of those that it may speak of; NaN: of nobody yet. */
  readonly confidence: number
  /** Of the rows that a rule decided, the part for which the model proposed something else. */
  readonly disagreement: number
  readonly state: 'unknown' | 'stable' | 'warning' | 'alarm'
}

/** How far what the router sees now is from what its model was trained on. */
export class DriftWatch {
  readonly #log: Logger
  #model: TierModel | null = null
  #counts = new Float64Array(0)
  #rows = 0
  #seen = 0
  #strangers = 0
  #novel = 0
  #spoken = 0
  #confidence = 0
  #ruled = 0
  #disagreed = 0
  readonly #probabilities = new Float64Array(TIERS.length)
  #last: DriftReport['state'] = 'unknown'

  constructor(log: Logger) {
    this.#log = log
  }

  /** Begins anew with another model. */
  use(model: TierModel): void {
    this.#model = model
    this.#counts = new Float64Array(FEATURE_COUNT * (BINS + 1))
    this.#rows = 0
    this.#seen = 0
    this.#strangers = 0
    this.#novel = 0
    this.#spoken = 0
    this.#confidence = 0
    this.#ruled = 0
    this.#disagreed = 0
  }

  observe(row: HistoryRow): void {
    const model = this.#model
    if (model === null) return
    this.#rows++
    this.#listen(model, row)
    if (row.rule !== null && row.proposed !== null) {
      this.#ruled++
      if (row.proposed !== row.rule) this.#disagreed++
    }
    for (let feature = 0; feature < FEATURE_COUNT; feature++) {
      const bin = binOf(model.header.quantiles[feature] ?? [], row.features[feature] as number)
      this.#counts[feature * (BINS + 1) + bin]! += 1
    }
    if (this.#rows > 2 * HALF_ROWS) this.#forget()
    if (this.#rows % LEAST_ROWS === 0) this.#tell()
  }

  /** What the model would say of the row, if it may. */
  #listen(model: TierModel, { features, queries }: HistoryRow): void {
    if (features[FEATURE.pairId] !== 0) this.#seen++
    else {
      if (queries < EVIDENCE_QUERIES) return
      this.#strangers++
      if (model.isNovel(features)) {
        this.#novel++
        return
      }
    }
    model.predict(features, this.#probabilities)
    this.#spoken++
    this.#confidence += Math.max(...this.#probabilities)
  }

  report(): DriftReport {
    const { header } = this.#model ?? { header: null }
    if (header === null || this.#rows < LEAST_ROWS) {
      const nothing = { features: [], unseen: 0, novel: 0, confidence: Number.NaN, disagreement: 0 }
      return { rows: this.#rows, ...nothing, state: 'unknown' }
    }
    const features = FEATURE_NAMES.map((name, index) => [name, this.#psi(index)] as const)
      .filter(([name]) => !IDENTITY_FEATURES.includes(FEATURE[name]))
      .toSorted(([, a], [, b]) => b - a)
    const alarmed = features.filter(([, psi]) => psi > PSI_ALARM).length
    const warned = features.filter(([, psi]) => psi > PSI_WARNING).length
    const confidence = this.#spoken < LEAST_ROWS / 10 ? Number.NaN : this.#confidence / this.#spoken
    const isUnsure = confidence < (header.confidence ?? 0) - UNSURE
    return {
      rows: this.#rows,
      features,
      novel: this.#strangers === 0 ? 0 : this.#novel / this.#strangers,
      confidence,
      unseen: 1 - this.#seen / this.#rows,
      disagreement: this.#ruled === 0 ? 0 : this.#disagreed / this.#ruled,
      state: alarmed >= features.length / 4 ? 'alarm' : warned > 0 || isUnsure ? 'warning' : 'stable',
    }
  }

  /** Compares with training, in which each of the ten parts had a tenth of those that were not missing. */
  #psi(feature: number): number {
    const borders = this.#model?.header.quantiles[feature] ?? []
    if (borders.length === 0) return 0
    const counts = this.#counts.subarray(feature * (BINS + 1), (feature + 1) * (BINS + 1))
    let total = 0
    for (let bin = 0; bin < BINS; bin++) total += counts[bin] as number
    if (total < LEAST_ROWS / 2) return 0
    let psi = 0
    for (const [bin, expected] of expectations(borders).entries()) {
      if (expected === 0) continue
      const actual = Math.max(1e-3, (counts[bin] as number) / total)
      psi += (actual - expected) * Math.log(actual / expected)
    }
    return psi
  }

  #forget(): void {
    for (let at = 0; at < this.#counts.length; at++) this.#counts[at]! /= 2
    this.#rows /= 2
    this.#seen /= 2
    this.#strangers /= 2
    this.#novel /= 2
    this.#spoken /= 2
    this.#confidence /= 2
    this.#ruled /= 2
    this.#disagreed /= 2
  }

  #tell(): void {
    const { state, features } = this.report()
    if (state === this.#last) return
    this.#last = state
    const moved = features.slice(0, 3).map(([name, psi]) => `${name} ${psi.toFixed(2)}`)
    if (state === 'alarm') {
      this.#log.warn(
        { moved },
        'what clients do has moved far from what the tier model was trained on; train a new one',
      )
    }
  }
}

/** The last bin is for missing values. */
function binOf(borders: readonly number[], value: number): number {
  if (Number.isNaN(value)) return BINS
  let bin = 0
  while (bin < borders.length && value > (borders[bin] as number)) bin++
  return bin
}

/** What part of training is in each bin: borders that are equal leave nothing between them. */
function expectations(borders: readonly number[]): number[] {
  const parts = new Array<number>(BINS).fill(0)
  let bin = 0
  for (let at = 0; at <= borders.length; at++) {
    parts[bin]! += 1 / BINS
    if (borders[at] !== borders[at + 1]) bin = at + 1
  }
  return parts
}
