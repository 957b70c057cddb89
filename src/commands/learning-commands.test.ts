import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, describe, it } from 'node:test'
import { FEATURE, FEATURE_COUNT } from '../analyzer/feature-schema.ts'
import { writeTable } from '../control/learning/history-files.ts'
import type { HistoryRow } from '../control/learning/history-row.ts'
import { ModelStore } from '../control/learning/model-store.ts'
import { seededRandom } from '../util/seeded-random.ts'
import { evaluate, importLogs, label, promote, rollback, train } from './learning-commands.ts'

const data = mkdtempSync(join(tmpdir(), 'switchyard-learning-'))
after(() => rmSync(data, { recursive: true }))
const said: string[] = []
const write = (text: string): void => void said.push(text)

/** Users `web` are quick, users `batch` slow and `shared` both, which only their durations tell. */
function makeHistory(): HistoryRow[] {
  const random = seededRandom(3)
  return Array.from({ length: 600 }, (_, connection) => {
    const isSlow = connection % 2 === 0
    const user = connection % 3 === 0 ? 'shared' : isSlow ? 'batch' : 'web'
    return [0, 1, 16].map((queries): HistoryRow => {
      const features = new Float32Array(FEATURE_COUNT).fill(Number.NaN)
      if (queries > 0) features[FEATURE.duration] = (isSlow ? 8 : 1) + random()
      features[FEATURE.queries] = queries
      return {
        time: 1e12 + connection * 1000 + queries,
        connectedAt: 1e12 + connection * 1000,
        connection: `c-${connection}`,
        kind: 'running',
        queries,
        user,
        database: 'shop',
        application: user === 'shared' ? '' : `${user}-program`,
        subnet: 'local',
        port: connection,
        tier: null,
        proposed: null,
        rule: isSlow ? 'background' : 'high',
        source: 'default',
        features,
      }
    })
  }).flat()
}

describe('from history to a model in use', () => {
  mkdirSync(join(data, 'history'))
  writeTable(join(data, 'history', '1.parquet'), makeHistory())

  it('connections are labelled by the rules that were in force', async () => {
    assert.equal(await label({ data, truth: null, corrections: null, outcomes: false }, write), 0)
    assert.ok(said.join('').includes('600 of 600 connections'))
    assert.match(said.join(''), /1 of 1 files of the history read/)
    assert.ok(said.join('').includes('by rule: 300 high, 0 medium, 0 low, 300 background'))
  })

  it('corrections come before rules', async () => {
    const corrections = join(data, 'corrections')
    writeFileSync(corrections, '{"user":"no*","tier":"low"}\n')
    assert.equal(await label({ data, truth: null, corrections, outcomes: false }, write), 0)
    writeFileSync(corrections, '{"user":"we*","tier":"urgent"}\n')
    assert.equal(await label({ data, truth: null, corrections, outcomes: false }, write), 1)
    assert.match(said.at(-1) as string, /one of high, medium, low, background/)
  })

  it('nothing is promoted that was not trained', async () => {
    assert.equal(await promote(data, null, false, write), 1)
    assert.match(said.at(-1) as string, /candidate\.json does not exist/)
  })

  it('a candidate is trained and promoted, and one that is worse is not', async () => {
    assert.equal(await train({ data, out: null, seed: 1, portable: false }, write), 0)
    assert.equal(await promote(data, null, true, write), 0)
    const good = new ModelStore(data).current()?.file.sha256
    // Labels turned round teach the opposite.
    const file = join(data, 'labels.ndjson')
    const right = readFileSync(file, 'utf8')
    writeFileSync(file, right.replaceAll('"high"', '"low"'))
    assert.equal(await train({ data, out: null, seed: 1, portable: false }, write), 0)
    writeFileSync(file, right)
    assert.equal(await promote(data, null, false, write), 1)
    assert.match(said.at(-1) as string, /^not promoted: its macro-F1 is /)
    assert.equal(new ModelStore(data).current()?.file.sha256, good)
  })

  it('a rollback goes back once for each promotion', async () => {
    const first = new ModelStore(data).current()?.file.sha256
    assert.equal(await promote(data, null, true, write), 0)
    assert.notEqual(new ModelStore(data).current()?.file.sha256, first)
    assert.equal(await rollback(data, write), 0)
    assert.equal(new ModelStore(data).current()?.file.sha256, first)
    assert.equal(await rollback(data, write), 1)
    assert.match(said.at(-1) as string, /no earlier model/)
  })

  it('a report sets the model beside a lookup table, which shared users defeat', async () => {
    assert.equal(await evaluate({ data, seed: 1, out: null }, write), 0)
    const report = JSON.parse(readFileSync(join(data, 'evaluation.json'), 'utf8'))
    assert.ok(report.ambiguous['16'].model.macroF1 > 0.95)
    assert.ok(report.ambiguous['16'].lookup.macroF1 < 0.7)
    assert.equal(report.heldOutIdentities.abstainedAtConnect, 1)
    assert.ok(report.heldOutIdentities.answered.rows > 0.9 * report.heldOutIdentities.after16.rows)
    assert.ok(report.forged['16'].model.macroF1 > 0.95)
    assert.ok(report.forged['16'].lookup.macroF1 < 0.5)
    assert.ok(report.calibration.length > 0)
    assert.match(readFileSync(join(data, 'evaluation.html'), 'utf8'), /lookup table/)
  })

  it('a log that does not exist is told by its name', async () => {
    assert.equal(await importLogs(data, ['/no/such.log'], write), 1)
    assert.equal(said.at(-1), '/no/such.log does not exist.\n')
  })
})
