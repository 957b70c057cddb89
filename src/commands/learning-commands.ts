import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { BadModel, TierModel } from '../analyzer/tier-model.ts'
import { type Example, makeExamples, splitByTime } from '../control/learning/dataset.ts'
import { evaluateLearning } from '../control/learning/evaluate-model.ts'
import { type OnFile, readHistory, writeTable } from '../control/learning/history-files.ts'
import { importLog } from '../control/learning/import-log.ts'
import { type Correction, type LabTruth, labelConnections, parseLabels } from '../control/learning/labels.ts'
import { ModelStore, readModel, writeModel } from '../control/learning/model-store.ts'
import { comparePromotion } from '../control/learning/promotion.ts'
import { reportPage } from '../control/learning/report-page.ts'
import { trainModel } from '../control/learning/train-model.ts'
import { TrainingCheckpoint } from '../control/learning/training-checkpoint.ts'
import { importXgboost } from '../control/learning/xgboost-import.ts'
import { ConfigError } from '../errors.ts'
import { TIERS } from '../shard/tier.ts'
import { NO_BAR, progressBar } from '../util/progress-bar.ts'

type Write = (text: string) => void

/** Where a router keeps its history, models and labels. */
function placesOf(data: string) {
  return {
    history: join(data, 'history'),
    labels: join(data, 'labels.ndjson'),
    candidate: join(data, 'models', 'candidate.json'),
  }
}

/** A command that cannot do what it is told: one sentence, exit code 1. */
async function saying(write: Write, work: () => Promise<number> | number): Promise<number> {
  try {
    return await work()
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code
    if (error instanceof BadModel || error instanceof ConfigError) write(`${error.message}\n`)
    else if (code === 'ENOENT') write(`${(error as NodeJS.ErrnoException).path} does not exist.\n`)
    else throw error
    return 1
  }
}

export interface LabelOptions {
  readonly data: string
  readonly truth: string | null
  readonly corrections: string | null
  readonly outcomes: boolean
}

/** `switchyard label`: says for each connection of the history what it was, as far as anybody knows. */
export async function label(options: LabelOptions, write: Write): Promise<number> {
  return await saying(write, async () => {
    const { history, labels: file } = placesOf(options.data)
    const rows = await readHistory(history, reading(write))
    write(NO_BAR)
    const labels = labelConnections(rows, {
      truths: options.truth === null ? [] : readLines<LabTruth>(options.truth),
      corrections: options.corrections === null ? [] : readCorrections(options.corrections),
      outcomes: options.outcomes,
    })
    writeFileSync(file, labels.map((one) => `${JSON.stringify(one)}\n`).join(''), { mode: 0o600 })
    const connections = new Set(rows.map(({ connection }) => connection)).size
    write(`${labels.length} of ${connections} connections are labelled in ${file}\n`)
    for (const source of ['truth', 'correction', 'rule', 'outcome'] as const) {
      const own = labels.filter((one) => one.source === source)
      const tiers = TIERS.map((tier) => `${own.filter((one) => one.tier === tier).length} ${tier}`)
      if (own.length > 0) write(`  by ${source}: ${tiers.join(', ')}\n`)
    }
    return 0
  })
}

export interface TrainCommandOptions {
  readonly data: string
  readonly out: string | null
  readonly seed: number
  readonly portable: boolean
}

/** `switchyard train`: makes a candidate of the labelled history. */
export async function train(options: TrainCommandOptions, write: Write): Promise<number> {
  return await saying(write, async () => {
    const examples = await readExamples(options.data, write)
    const { training, validation, test } = splitByTime(examples, [0.8, 0.2])
    const began = performance.now()
    const out = options.out ?? placesOf(options.data).candidate
    const checkpoint = new TrainingCheckpoint(`${out}.checkpoint`)
    const model = trainModel(training, [...validation, ...test], {
      seed: options.seed,
      portable: options.portable,
      about: aboutOf(examples),
      onTree: (trees, loss) => write(`\r${'█'.repeat(trees)} ${trees} trees, validation loss ${loss.toFixed(4)} `),
      checkpoint,
    })
    writeModel(out, model)
    checkpoint.remove()
    const seconds = ((performance.now() - began) / 1000).toFixed(1)
    write(`\n${training.length} snapshots in ${seconds} s; ${out} is ${model.sha256.slice(0, 8)}\n`)
    return 0
  })
}

function aboutOf(examples: readonly Example[]): Record<string, unknown> {
  const times = examples.map(({ row }) => row.time)
  return {
    connections: new Set(examples.map(({ row }) => row.connection)).size,
    from: new Date(Math.min(...times)).toISOString(),
    to: new Date(Math.max(...times)).toISOString(),
  }
}

export interface EvaluateCommandOptions {
  readonly data: string
  readonly seed: number
  readonly out: string | null
}

/** `switchyard evaluate`: how well learning from this history works, beside what would do without learning. */
export async function evaluate(options: EvaluateCommandOptions, write: Write): Promise<number> {
  return await saying(write, async () => {
    const examples = await readExamples(options.data, write)
    const report = evaluateLearning(examples, {
      seed: options.seed,
      mostIdentities: 12,
      onProgress: (step, done, steps) => write(progressBar(done, steps, step)),
    })
    write(NO_BAR)
    const { overall, ambiguous, knownAtConnect, heldOutFamilies } = report
    const line = (what: string, metrics: { macroF1: number; accuracy: number }): string =>
      `  ${what.padEnd(14)} accuracy ${metrics.accuracy.toFixed(3)}  macro-F1 ${metrics.macroF1.toFixed(3)}\n`
    write(`${report.rows.test} newest snapshots of ${report.connections} connections:\n`)
    for (const [name, metrics] of Object.entries(overall)) write(line(name, metrics))
    write(
      `known identities at connect:\n${line('model', knownAtConnect.model)}${line('lookup table', knownAtConnect.lookup)}`,
    )
    const at16 = ambiguous['16']
    if (at16)
      write(`ambiguous identities after 16 queries:\n${line('model', at16.model)}${line('lookup table', at16.lookup)}`)
    if (heldOutFamilies) {
      const { after16, answered } = heldOutFamilies
      write(`unseen families after 16 queries, ${percent(answered.rows, after16.rows)} of which it would answer:\n`)
      write(line('made to', after16) + line('answered', answered))
    }
    write(`calibration error ${report.calibrationError.toFixed(3)}\n`)
    const out = options.out ?? join(options.data, 'evaluation')
    writeFileSync(`${out}.json`, `${JSON.stringify(report)}\n`)
    writeFileSync(`${out}.html`, reportPage(report, 'Evaluation of the tier model'))
    write(`${out}.html and ${out}.json\n`)
    return 0
  })
}

/** `switchyard promote [file]`: makes the candidate the model that routers use, if it is not worse. `force`: in any case. */
export async function promote(data: string, file: string | null, force: boolean, write: Write): Promise<number> {
  return await saying(write, async () => {
    const path = file ?? placesOf(data).candidate
    const candidate = readModel(path)
    if (candidate === null) throw new ConfigError(`${path} does not exist; write one with "switchyard train".`)
    const store = new ModelStore(data)
    if (!force) {
      const verdict = comparePromotion(candidate, store.current()?.file ?? null, await readExamples(data, write))
      write(`${verdict.promoted ? 'promoted' : 'not promoted'}: ${verdict.reason}\n`)
      if (!verdict.promoted) return 1
    }
    store.promote(candidate)
    write(`${candidate.sha256.slice(0, 8)} is the current model; a running router takes it within 5 s, or at RELOAD\n`)
    return 0
  })
}

/** `switchyard rollback`: goes back to the model before. */
export async function rollback(data: string, write: Write): Promise<number> {
  return await saying(write, () => {
    const store = new ModelStore(data)
    if (!store.rollback()) throw new ConfigError('There is no earlier model to go back to.')
    const current = store.current()
    write(`${current?.file.sha256.slice(0, 8) ?? 'none'} is the current model again\n`)
    return 0
  })
}

/** `switchyard import-log`: makes history of a log that PostgreSQL or PgBouncer wrote. */
export async function importLogs(data: string, files: readonly string[], write: Write): Promise<number> {
  return await saying(write, () => {
    for (const file of files) {
      const { rows, lines, format } = importLog(file, readFileSync(file, 'utf8'))
      if (rows.length === 0) {
        write(`${file}: no sessions in ${lines} lines (${format})\n`)
        continue
      }
      const { history } = placesOf(data)
      const name = `${new Date(rows[0]?.time ?? 0).toISOString().replace(/[-:.]/g, '')}-imported-${rows.length}.parquet`
      writeTable(join(history, name), rows)
      write(`${file}: ${rows.length} snapshots of ${lines} lines (${format}) in ${join(history, name)}\n`)
    }
    return 0
  })
}

/** `switchyard import-model`: a candidate of an XGBoost JSON file whose features have our names. */
export async function importModel(data: string, file: string, write: Write): Promise<number> {
  return await saying(write, () => {
    const model = importXgboost(JSON.parse(readFileSync(file, 'utf8')))
    TierModel.open(model)
    const out = placesOf(data).candidate
    writeModel(out, model)
    write(`${out} is ${model.sha256.slice(0, 8)}\n`)
    return 0
  })
}

function percent(part: number, whole: number): string {
  return `${((100 * part) / Math.max(1, whole)).toFixed(0)} %`
}

function reading(write: Write): OnFile {
  return (read, files) => write(progressBar(read, files, 'files of the history read'))
}

async function readExamples(data: string, write: Write): Promise<readonly Example[]> {
  const { history, labels } = placesOf(data)
  const examples = makeExamples(await readHistory(history, reading(write)), parseLabels(readFileSync(labels, 'utf8')))
  write(NO_BAR)
  if (examples.length < 100) {
    throw new ConfigError(`There are ${examples.length} labelled snapshots; at least 100 are needed to learn anything.`)
  }
  return examples
}

function readLines<T>(file: string): readonly T[] {
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as T)
}

function readCorrections(file: string): readonly Correction[] {
  return readLines<Partial<Correction>>(file).map(({ user = '*', database = '*', application = '*', tier }) => {
    if (tier === undefined || !TIERS.includes(tier)) {
      throw new ConfigError(`${file}: every line needs a tier, one of ${TIERS.join(', ')}.`)
    }
    return { user, database, application, tier }
  })
}
