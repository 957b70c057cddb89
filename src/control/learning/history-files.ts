import { readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { FEATURE_COLUMNS, type HistoryRow, ROW_COLUMNS, rowFromLine, rowFromValues } from './history-row.ts'

/** Segments are appended to and may be cut at any byte; tables are whole. */
export const SEGMENT_SUFFIX = '.ndjson'
export const TABLE_SUFFIX = '.parquet'

/** Writes rows as a Parquet file; it appears whole or not at all. */
export function writeTable(path: string, rows: readonly HistoryRow[]): void {
  const columns = ROW_COLUMNS.map(([name, type]) => ({ name, type, data: rows.map((row) => row[name]) }))
  const features = FEATURE_COLUMNS.map((name, index) => ({
    name,
    type: 'FLOAT' as const,
    data: rows.map(({ features: values }) => values[index] as number),
  }))
  const buffer = parquetWriteBuffer({ columnData: [...columns, ...features] })
  writeFileSync(`${path}.new`, new Uint8Array(buffer), { mode: 0o600 })
  renameSync(`${path}.new`, path)
}

/** All rows of a file of the history, of either kind. */
export async function readHistoryFile(path: string): Promise<readonly HistoryRow[]> {
  if (path.endsWith(SEGMENT_SUFFIX)) return readSegment(path)
  const rows = await parquetReadObjects({ file: await asyncBufferFromFile(path) })
  return rows.map((row) =>
    rowFromValues(
      row,
      FEATURE_COLUMNS.map((name) => (row[name] === null ? Number.NaN : Number(row[name] ?? Number.NaN))),
    ),
  )
}

function readSegment(path: string): readonly HistoryRow[] {
  const lines = readFileSync(path, 'utf8').split('\n')
  return lines.map((line) => (line === '' ? null : rowFromLine(line))).filter((row) => row !== null)
}

/** The files of a history, oldest first: their names begin with the time. */
export function historyFiles(directory: string): readonly string[] {
  return readdirSync(directory)
    .filter((name) => name.endsWith(SEGMENT_SUFFIX) || name.endsWith(TABLE_SUFFIX))
    .sort()
    .map((name) => join(directory, name))
}

/** How many of so many files have been read. */
export type OnFile = (read: number, files: number) => void

/** All rows of all files, in the order of time. */
export async function readHistory(directory: string, onFile: OnFile = () => {}): Promise<readonly HistoryRow[]> {
  const all: HistoryRow[] = []
  const files = historyFiles(directory)
  for (const [at, path] of files.entries()) {
    for (const row of await readHistoryFile(path)) all.push(row)
    onFile(at + 1, files.length)
  }
  return all.sort((a, b) => a.time - b.time)
}

/** Makes a table of a segment, and removes it. */
export function compactSegment(path: string): void {
  const rows = readSegment(path)
  if (rows.length > 0) writeTable(path.slice(0, -SEGMENT_SUFFIX.length) + TABLE_SUFFIX, rows)
  rmSync(path, { force: true })
}

/** Removes the oldest files until the rest is within the bounds. `now`: milliseconds since 1970; a bound of 0 is none. */
export function rotateHistory(directory: string, bounds: { mostBytes: number; mostAgeMs: number }, now: number): void {
  const files = historyFiles(directory).map((path) => ({ path, ...sizeOf(path) }))
  let bytes = files.reduce((sum, file) => sum + file.bytes, 0)
  for (const file of files) {
    const isOld = bounds.mostAgeMs > 0 && now - file.changedAt > bounds.mostAgeMs
    if (!isOld && bytes <= bounds.mostBytes) break
    rmSync(file.path, { force: true })
    bytes -= file.bytes
  }
}

function sizeOf(path: string): { bytes: number; changedAt: number } {
  const { size, mtimeMs } = statSync(path)
  return { bytes: size, changedAt: mtimeMs }
}
