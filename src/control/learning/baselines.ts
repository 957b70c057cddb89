import { DEFAULT_TIER, tierCode } from '../../shard/tier.ts'
import { type Example, pairOf } from './dataset.ts'

/** Says what a row is: a tier code. */
export type Predictor = (example: Example) => number

/** Always what is most frequent. */
export function majority(training: readonly Example[]): Predictor {
  const most = mostFrequent(training)
  return () => most
}

/** What the same user with the same application and database mostly was; strangers are the default. */
export function lookupTable(training: readonly Example[]): Predictor {
  const byIdentity = Map.groupBy(training, keyOf)
  const table = new Map([...byIdentity].map(([key, examples]) => [key, mostFrequent(examples)]))
  return (example) => table.get(keyOf(example)) ?? tierCode(DEFAULT_TIER)
}

/** What the operator's rules said at the time, else the default. */
export function rulesAlone(): Predictor {
  return ({ row }) => tierCode(row.rule ?? DEFAULT_TIER)
}

function keyOf(example: Example): string {
  return `${pairOf(example)}\0${example.row.database}`
}

function mostFrequent(examples: readonly Example[]): number {
  const connections = new Map(examples.map(({ row, label }) => [row.connection, label]))
  const counts = [0, 0, 0, 0]
  for (const label of connections.values()) counts[label]! += 1
  return counts.indexOf(Math.max(...counts))
}
