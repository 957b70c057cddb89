import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { FEATURE_COUNT } from '../../analyzer/feature-schema.ts'
import { compactSegment, readHistory, rotateHistory, writeTable } from './history-files.ts'
import { type HistoryRow, rowToLine } from './history-row.ts'

const row = (time: number): HistoryRow => ({
  time,
  connectedAt: time - 5,
  connection: `r-1-${time}`,
  kind: 'running',
  queries: 4,
  user: 'alice',
  database: 'shop',
  application: 'wéb "#"',
  subnet: '10.0.0.0/24',
  port: 40_000,
  tier: 'high',
  proposed: null,
  rule: null,
  source: 'model',
  features: Float32Array.from({ length: FEATURE_COUNT }, (_, i) => (i % 7 === 0 ? Number.NaN : i / 2)),
})

function inDirectory(work: (directory: string) => Promise<void> | void): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'switchyard-history-'))
    try {
      await work(directory)
    } finally {
      rmSync(directory, { recursive: true })
    }
  }
}

test(
  'rows come back from segments and tables as they were, in order, and a line that was cut is left out',
  inDirectory(async (directory) => {
    writeTable(join(directory, '1.parquet'), [row(3), row(1)])
    appendFileSync(join(directory, '2.ndjson'), `${rowToLine(row(2))}\n${rowToLine(row(4)).slice(0, 50)}`)
    assert.deepEqual(await readHistory(directory), [row(1), row(2), row(3)])
    compactSegment(join(directory, '2.ndjson'))
    assert.deepEqual(readdirSync(directory).sort(), ['1.parquet', '2.parquet'])
    assert.deepEqual(await readHistory(directory), [row(1), row(2), row(3)])
  }),
)

test(
  'the oldest files go when there is too much, or when they are too old',
  inDirectory((directory) => {
    for (const name of ['1', '2', '3']) writeFileSync(join(directory, `${name}.parquet`), 'x'.repeat(100))
    rotateHistory(directory, { mostBytes: 250, mostAgeMs: 0 }, Date.now())
    assert.deepEqual(readdirSync(directory), ['2.parquet', '3.parquet'])
    utimesSync(join(directory, '2.parquet'), 1, 1)
    rotateHistory(directory, { mostBytes: 1000, mostAgeMs: 60_000 }, Date.now())
    assert.deepEqual(readdirSync(directory), ['3.parquet'])
  }),
)
