import type { Outcome, ShardOutcome, TierOutcome } from './outcome.ts'

const HEADER = ['tier', 'begun', 'wait p50', 'p99', 'longest', 'refused', 'gave up', 'cut off']
const SHARD_HEADER = ['shard', 'transactions', 'load', 'most at once']

/** Two outcomes of the same work side by side, for people: each cell is `before → after`, or one value when they agree. */
export function comparisonTable(before: Outcome, after: Outcome): readonly string[] {
  const tiers = after.tiers.map((tier, code) => tierRow(before.tiers[code] ?? tier, tier))
  const names = new Set([...before.shards, ...after.shards].map(({ shard }) => shard))
  const shards = [...names].map((name) => shardRow(name, find(before, name), find(after, name)))
  return [...aligned([HEADER, ...tiers]), '', ...aligned([SHARD_HEADER, ...shards])]
}

function tierRow(before: TierOutcome, after: TierOutcome): readonly string[] {
  return [
    after.tier,
    change(before.transactions, after.transactions, String),
    change(before.p50WaitMs, after.p50WaitMs, milliseconds),
    change(before.p99WaitMs, after.p99WaitMs, milliseconds),
    change(before.maxWaitMs, after.maxWaitMs, milliseconds),
    change(before.refused, after.refused, String),
    change(before.timedOut, after.timedOut, String),
    change(before.cancelled, after.cancelled, String),
  ]
}

function shardRow(name: string, before: ShardOutcome | null, after: ShardOutcome | null): readonly string[] {
  return [
    name,
    change(before?.transactions ?? null, after?.transactions ?? null, String),
    change(before?.load ?? null, after?.load ?? null, (load) => `${(load * 100).toFixed(1)} %`),
    change(busy(before), busy(after), String),
  ]
}

const busy = (shard: ShardOutcome | null): string | null =>
  shard === null ? null : `${shard.mostBusy} of ${shard.slots}`
const find = ({ shards }: Outcome, name: string): ShardOutcome | null =>
  shards.find(({ shard }) => shard === name) ?? null

function change<T>(before: T | null, after: T | null, show: (value: T) => string): string {
  const [was, is] = [before === null ? '–' : show(before), after === null ? '–' : show(after)]
  return was === is ? is : `${was} → ${is}`
}

function milliseconds(ms: number): string {
  if (ms === 0) return '0'
  if (ms < 1000) return `${ms < 10 ? ms.toFixed(1) : ms.toFixed(0)} ms`
  return `${(ms / 1000).toFixed(1)} s`
}

function aligned(rows: readonly (readonly string[])[]): readonly string[] {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? []
  return rows.map((row) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
      .trimEnd(),
  )
}
