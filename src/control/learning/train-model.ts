import { encodeModel, type ModelFile, TierModel } from '../../analyzer/tier-model.ts'
import { softmax, TreeEnsemble } from '../../analyzer/tree-ensemble.ts'
import { NO_VOCABULARY } from '../../analyzer/vocabulary.ts'
import { TIERS } from '../../shard/tier.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { EVIDENCE_QUERIES, type Example, isSeen, quantilesOf, toRows, vocabularyOf } from './dataset.ts'
import { learnNovelty } from './novelty-training.ts'
import type { TrainingCheckpoint } from './training-checkpoint.ts'
import { DEFAULT_TRAINING, type LabelledRows, trainTrees } from './tree-trainer.ts'

/** Part of the rows that are trained without their identity. */
const DROPOUT = 0.35
/** How sure the model has to be before its first word counts; to hold somebody back takes more than to leave it. */
const THRESHOLDS = [0.6, 0.55, 0.6, 0.65]

/** How a model is trained; the same seed and rows give the same model. `about` is kept with it. */
export interface TrainOptions {
  readonly seed: number
  /** True: without any names, for use by others; identities are unseen to it, so behaviour alone speaks. */
  readonly portable: boolean
  readonly about: Readonly<Record<string, unknown>>
  readonly onTree?: (trees: number, loss: number) => void
  /** What an interrupted training left, and where this one saves itself after each tree. */
  readonly checkpoint?: TrainingCheckpoint
}

/** A model of `training`, stopped early and calibrated on `validation`, which has to be later. */
export function trainModel(
  training: readonly Example[],
  validation: readonly Example[],
  options: TrainOptions,
): ModelFile {
  const random = seededRandom(options.seed)
  const vocabulary = vocabularyOf(training)
  const dropout = { random, share: options.portable ? 1 : DROPOUT, portable: options.portable }
  const rows = balance(toRows(training, vocabulary, dropout))
  const checks = toRows(validation, vocabulary, options.portable ? dropout : null)
  const { checkpoint, onTree, seed } = options
  const begun = checkpoint?.load(rows, checks, seed) ?? []
  const { trees, loss } = trainTrees(rows, checks, {
    ...DEFAULT_TRAINING,
    seed,
    begun,
    onTree: (grown, loss) => {
      if (grown.length > begun.length) checkpoint?.save(grown)
      onTree?.(grown.length, loss)
    },
  })
  const ensemble = new TreeEnsemble(trees)
  const temperature = fitTemperature(ensemble, checks)
  const mayJudge = (row: number): boolean =>
    isSeen(checks.values, row) || (validation[row] as Example).row.queries >= EVIDENCE_QUERIES
  const novelty = learnNovelty(withEvidence(training), withEvidence(validation), seed)
  const header = {
    temperature,
    thresholds: THRESHOLDS,
    vocabulary: options.portable ? NO_VOCABULARY : vocabulary,
    quantiles: quantilesOf(rows).map((borders) => borders.map((value) => Number(value.toPrecision(5)))),
    ...(novelty === null ? {} : { novelty }),
    confidence: Number(meanConfidence(ensemble, temperature, checks, mayJudge).toFixed(4)),
    about: {
      ...options.about,
      seed: options.seed,
      rows: training.length,
      trees: trees.roots.length,
      validationLoss: loss,
    },
  }
  return encodeModel(header, trees)
}

/** What connections did after which a stranger may be judged. */
function withEvidence(examples: readonly Example[]): Float32Array[] {
  return examples.filter(({ row }) => row.queries >= EVIDENCE_QUERIES).map(({ row }) => row.features)
}

/** Rare tiers count for more, as far as the square root of how rare they are. */
function balance(rows: LabelledRows): LabelledRows {
  const counts = TIERS.map((_, k) => rows.labels.reduce((sum, label) => sum + (label === k ? 1 : 0), 0))
  const present = counts.filter((count) => count > 0).length
  const factors = counts.map((count) => (count === 0 ? 0 : Math.sqrt(rows.labels.length / present / count)))
  return {
    ...rows,
    weights: rows.weights.map((weight, row) => weight * (factors[rows.labels[row] as number] as number)),
  }
}

/** The temperature with the least log loss, to a hundredth or so. */
function fitTemperature(trees: TreeEnsemble, rows: LabelledRows): number {
  const all = new Float64Array(rows.labels.length * trees.classes)
  const scores = new Float64Array(trees.classes)
  for (let row = 0; row < rows.labels.length; row++) {
    trees.score(rows.values.subarray(row * rows.features, (row + 1) * rows.features), scores)
    all.set(scores, row * trees.classes)
  }
  let best = { temperature: 1, loss: Number.POSITIVE_INFINITY }
  for (let step = -25; step <= 25; step++) {
    const temperature = 1.04 ** step
    let loss = 0
    for (let row = 0; row < rows.labels.length; row++) {
      for (let k = 0; k < scores.length; k++) scores[k] = all[row * scores.length + k] as number
      softmax(scores, temperature)
      loss -= Math.log(Math.max(1e-12, scores[rows.labels[row] as number] as number))
    }
    if (loss < best.loss) best = { temperature, loss }
  }
  return best.temperature
}

/** How likely the likeliest tier is, on average of those rows; 0: there are none. */
function meanConfidence(
  trees: TreeEnsemble,
  temperature: number,
  { features, values, labels }: LabelledRows,
  counts: (row: number) => boolean,
): number {
  const scores = new Float64Array(trees.classes)
  let sum = 0
  let rows = 0
  for (let row = 0; row < labels.length; row++) {
    if (!counts(row)) continue
    trees.score(values.subarray(row * features, (row + 1) * features), scores)
    softmax(scores, temperature)
    sum += Math.max(...scores)
    rows++
  }
  return rows === 0 ? 0 : sum / rows
}

/** What a model says of rows: the class of each, how sure it is, and whether it should be silent instead: 1. */
export function predictRows(
  file: ModelFile,
  rows: LabelledRows,
): { readonly classes: Uint8Array; readonly confidence: Float64Array; readonly novel: Uint8Array } {
  const model = TierModel.open(file)
  const probabilities = new Float64Array(TIERS.length)
  const classes = new Uint8Array(rows.labels.length)
  const confidence = new Float64Array(rows.labels.length)
  const novel = new Uint8Array(rows.labels.length)
  for (let row = 0; row < classes.length; row++) {
    const vector = rows.values.subarray(row * rows.features, (row + 1) * rows.features)
    model.predict(vector, probabilities)
    novel[row] = model.isNovel(vector) ? 1 : 0
    const most = Math.max(...probabilities)
    classes[row] = probabilities.indexOf(most)
    confidence[row] = most
  }
  return { classes, confidence, novel }
}
