import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Example, makeExamples, splitByTime, toRows, vocabularyOf } from '../../src/control/learning/dataset.ts'
import { evaluateLearning, type HeldOut } from '../../src/control/learning/evaluate-model.ts'
import { readHistory } from '../../src/control/learning/history-files.ts'
import { type LabTruth, labelConnections } from '../../src/control/learning/labels.ts'
import { readModel, SHIPPED_MODEL } from '../../src/control/learning/model-store.ts'
import { DEFAULT_TRAINING, trainTrees } from '../../src/control/learning/tree-trainer.ts'
import { measureLatency } from './latency.ts'

/** What a run of the laboratory left: `npm run lab`. */
const RECORDED = join(import.meta.dirname, '../lab/recorded')
const TRAINING_ROWS = 50_000

/** The figures of the analyzer: what it costs a plane, and how good it is on what the laboratory recorded. */
export async function analyzer(recorded: string = RECORDED): Promise<object> {
  const shipped = readModel(SHIPPED_MODEL)
  if (shipped === null) throw new Error(`${SHIPPED_MODEL} does not exist`)
  const rows = await readHistory(join(recorded, 'history'))
  const truths = readFileSync(join(recorded, 'truth.ndjson'), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LabTruth)
  const examples = makeExamples(rows, labelConnections(rows, { truths, corrections: [], outcomes: false }))
  const latency = measureLatency(shipped)
  const training = measureTraining(examples)
  const report = evaluateLearning(examples, {
    seed: 1,
    mostIdentities: Number.POSITIVE_INFINITY,
    onProgress: (step) => console.error(step),
  })
  const round = (value: number): number => Number(value.toFixed(4))
  const after16 = report.ambiguous['16']
  const { knownAtConnect, heldOutFamilies } = report
  return {
    ...latency,
    train_50k_s: training,
    known_connect_acc: round(knownAtConnect.model.accuracy),
    lookup_acc: round(knownAtConnect.lookup.accuracy),
    shared_f1_16: round(after16?.model.macroF1 ?? 0),
    lookup_f1_16: round(after16?.lookup.macroF1 ?? 0),
    forged_f1_16: round(report.forged['16']?.model.macroF1 ?? 0),
    unseen_abstain: round(heldOutFamilies?.abstainedAtConnect ?? 0),
    heldout_f1_16: round(heldOutFamilies?.after16.macroF1 ?? 0),
    heldout_answered_16: round(share(heldOutFamilies?.answered.rows, heldOutFamilies?.after16.rows)),
    heldout_wrong_16: round(wrong(heldOutFamilies)),
    heldout_identity_f1_16: round(report.heldOutIdentities.after16.macroF1),
    heldout_identity_answered_16: round(
      share(report.heldOutIdentities.answered.rows, report.heldOutIdentities.after16.rows),
    ),
    ece: round(report.calibrationError),
    majority_acc: round(report.overall.majority.accuracy),
    rules_acc: round(report.overall.rules.accuracy),
    logistic_acc: round(report.overall.logistic.accuracy),
    model_acc: round(report.overall.model.accuracy),
    connections: report.connections,
    test_snapshots: report.rows.test,
  }
}

function share(part: number | undefined, whole: number | undefined): number {
  return (part ?? 0) / Math.max(1, whole ?? 0)
}

/** Part of the held-out that are told a tier which they are not. */
function wrong(held: HeldOut | null): number {
  if (held === null || held.answered.rows === 0) return 0
  return ((1 - held.answered.accuracy) * held.answered.rows) / held.after16.rows
}

/** Seconds for the rows of the recording, repeated until there are enough. */
function measureTraining(examples: readonly Example[]): number {
  const { training, validation } = splitByTime(examples)
  const many = Array.from({ length: TRAINING_ROWS }, (_, at) => training[at % training.length] as Example)
  const vocabulary = vocabularyOf(training)
  const began = performance.now()
  trainTrees(toRows(many, vocabulary, null), toRows(validation, vocabulary, null), DEFAULT_TRAINING)
  return Number(((performance.now() - began) / 1000).toFixed(1))
}
