import type { ModelFile } from '../../analyzer/tier-model.ts'
import { TIERS } from '../../shard/tier.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { lookupTable, majority, type Predictor, rulesAlone } from './baselines.ts'
import { EVIDENCE_QUERIES, type Example, isSeen, pairOf, splitByTime, toRows } from './dataset.ts'
import { trainLogistic } from './logistic-regression.ts'
import { type CalibrationBin, calibrationBins, calibrationError, type Metrics, measure } from './metrics.ts'
import { predictRows, trainModel } from './train-model.ts'

/** After so many queries; 0 is at connect. */
export const CHECKPOINTS = [0, 1, 4, 16, 64] as const

/** The model beside simpler ways to the same answer, all on the same rows. */
export interface Comparison {
  readonly model: Metrics
  readonly majority: Metrics
  readonly lookup: Metrics
  readonly rules: Metrics
  readonly logistic: Metrics
}

/** How good a model is, on rows that it has not learned from. */
export interface EvaluationReport {
  readonly rows: { readonly training: number; readonly validation: number; readonly test: number }
  readonly connections: number
  /** The newest part of the history, which nothing was learned from. */
  readonly overall: Comparison
  readonly byQueries: Readonly<Record<string, Comparison>>
  readonly calibrationError: number
  readonly calibration: readonly CalibrationBin[]
  /** At connect, of identities that are always the same. */
  readonly knownAtConnect: Comparison
  /** Of identities that are sometimes one tier, sometimes another: shared roles, forged names. */
  readonly ambiguous: Readonly<Record<string, Comparison>>
  /** The newest part again, each under an application name that another tier's connections have in training. */
  readonly forged: Readonly<Record<string, Comparison>>
  /** Trained without a family, tested on it, as strangers. Pooled over all families; null without families. */
  readonly heldOutFamilies: HeldOut | null
  /** The same with one identity. */
  readonly heldOutIdentities: HeldOut
}

/** How good it is with connections like which it has seen none. */
export interface HeldOut {
  /** After 16 queries, made to answer for everybody. */
  readonly after16: Metrics
  /** Of those who are told a tier then: behaviour that is new to the model gets none. */
  readonly answered: Metrics
  /** Part at connect of which the model says nothing, for nobody knows them. */
  readonly abstainedAtConnect: number
  readonly each: Readonly<Record<string, Metrics>>
}

/** How a model is evaluated; the same seed gives the same report. */
export interface EvaluateOptions {
  readonly seed: number
  /** What is done now, of how many steps of its kind that many are done. */
  readonly onProgress: (step: string, done: number, steps: number) => void
  /** How many identities are held out in turn. */
  readonly mostIdentities: number
}

/** Trains on the older part of the examples as `train` would, and reports on the newest. */
export function evaluateLearning(examples: readonly Example[], options: EvaluateOptions): EvaluationReport {
  const { onProgress, seed } = options
  const split = splitByTime(examples)
  onProgress('training', 0, 2)
  const file = trainModel(split.training, split.validation, { seed, portable: false, about: {} })
  onProgress('baselines', 1, 2)
  const compare = comparer(file, [...split.training, ...split.validation])
  const at = (rows: readonly Example[], queries: number): Example[] => rows.filter(({ row }) => row.queries === queries)
  const ambiguous = ambiguousPairs(examples)
  const unclear = split.test.filter((example) => ambiguous.has(pairOf(example)))
  const testRows = toRows(split.test, file.vocabulary, null)
  const seen = split.test.filter((_, row) => isSeen(testRows.values, row))
  const known = at(seen, 0).filter((example) => !ambiguous.has(pairOf(example)))
  const { classes, confidence } = predictRows(file, testRows)
  const calibration = calibrationBins(
    confidence,
    Array.from(classes, (k, row) => k === testRows.labels[row]),
  )
  const forged = forgeApplications(split.test, split.training, seed)
  return {
    rows: { training: split.training.length, validation: split.validation.length, test: split.test.length },
    connections: new Set(examples.map(({ row }) => row.connection)).size,
    overall: compare(split.test),
    byQueries: Object.fromEntries(CHECKPOINTS.map((queries) => [queries, compare(at(split.test, queries))])),
    calibrationError: calibrationError(calibration),
    calibration,
    knownAtConnect: compare(known),
    ambiguous: Object.fromEntries(CHECKPOINTS.map((queries) => [queries, compare(at(unclear, queries))])),
    forged: Object.fromEntries(CHECKPOINTS.map((queries) => [queries, compare(at(forged, queries))])),
    heldOutFamilies: holdOut(examples, ({ family }) => family, options, Number.POSITIVE_INFINITY),
    heldOutIdentities: holdOut(examples, pairOf, options, options.mostIdentities) as HeldOut,
  }
}

/** The same connections, each with the application name of one in `training` that is something else. */
function forgeApplications(examples: readonly Example[], training: readonly Example[], seed: number): Example[] {
  const random = seededRandom(seed)
  const names = TIERS.map((_, tier) => [
    ...new Set(training.filter(({ label }) => label !== tier).map(({ row }) => row.application)),
  ])
  const chosen = new Map<string, string>()
  return examples.map((example) => {
    const { row, label } = example
    const others = names[label] as string[]
    const application = chosen.get(row.connection) ?? others[Math.floor(random() * others.length)] ?? row.application
    chosen.set(row.connection, application)
    return { ...example, row: { ...row, application } }
  })
}

/** Pairs of user and application that have more than one tier. */
function ambiguousPairs(examples: readonly Example[]): ReadonlySet<string> {
  const byPair = Map.groupBy(examples, pairOf)
  return new Set([...byPair].filter(([, own]) => new Set(own.map(({ label }) => label)).size > 1).map(([pair]) => pair))
}

function comparer(file: ModelFile, training: readonly Example[]): (rows: readonly Example[]) => Comparison {
  const logistic = trainLogistic(toRows(training, file.vocabulary, null), 4)
  const predictors = { majority: majority(training), lookup: lookupTable(training), rules: rulesAlone() }
  return (examples) => {
    const rows = toRows(examples, file.vocabulary, null)
    const by = (predictor: Predictor): Metrics => measure(rows.labels, examples.map(predictor))
    return {
      model: measure(rows.labels, predictRows(file, rows).classes),
      majority: by(predictors.majority),
      lookup: by(predictors.lookup),
      rules: by(predictors.rules),
      logistic: measure(rows.labels, logistic(rows)),
    }
  }
}

/** Tier codes. */
interface Answers {
  readonly actual: number[]
  readonly predicted: number[]
}

/** Trains once for each group without it, and tests on it. Groups with fewer than two tiers' worth of others are left out. */
function holdOut(
  examples: readonly Example[],
  groupOf: (example: Example) => string | null,
  { seed, onProgress }: EvaluateOptions,
  most: number,
): HeldOut | null {
  const groups = [...Map.groupBy(examples, groupOf)].filter(([name]) => name !== null).slice(0, most)
  if (groups.length < 2) return null
  const all: Answers = { actual: [], predicted: [] }
  const answered: Answers = { actual: [], predicted: [] }
  const each: Record<string, Metrics> = {}
  let connects = 0
  let silent = 0
  for (const [at, [name, own]] of groups.entries()) {
    onProgress(`without ${String(name).replaceAll('\0', ' ')}`, at, groups.length)
    // Whoever shares an identity with the group would give it away.
    const strangers = new Set(own.map(pairOf))
    const others = examples.filter((example) => groupOf(example) !== name && !strangers.has(pairOf(example)))
    const { training, validation, test } = splitByTime(others, [0.8, 0.2])
    const file = trainModel(training, [...validation, ...test], { seed, portable: false, about: {} })
    const late = own.filter(({ row }) => row.queries === EVIDENCE_QUERIES)
    const { classes, novel } = predictRows(file, toRows(late, file.vocabulary, null))
    each[String(name).replaceAll('\0', ' ')] = measure(
      late.map(({ label }) => label),
      classes,
    )
    for (const [row, { label }] of late.entries()) {
      for (const answers of novel[row] === 1 ? [all] : [all, answered]) {
        answers.actual.push(label)
        answers.predicted.push(classes[row] as number)
      }
    }
    const early = own.filter(({ row }) => row.queries === 0)
    const rows = toRows(early, file.vocabulary, null)
    connects += early.length
    silent += early.filter((_, row) => !isSeen(rows.values, row)).length
  }
  return {
    after16: measure(all.actual, all.predicted),
    answered: measure(answered.actual, answered.predicted),
    abstainedAtConnect: connects === 0 ? 1 : silent / connects,
    each,
  }
}
