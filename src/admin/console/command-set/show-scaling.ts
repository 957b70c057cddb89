import { utilisationOf, workingShards } from '../../../control/scaling/scale-unit.ts'
import type { ScaleReport } from '../../../control/scaling/scaler.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, float8, int4, rowsOf, text } from '../table.ts'

interface Item {
  readonly mode: string
  readonly report: ScaleReport
}

const FIELDS: readonly Field<Item>[] = [
  text('group', ({ report }) => report.unit.group),
  text('pool', ({ report }) => report.unit.pool),
  text('mode', ({ mode }) => mode),
  int4('shards', ({ report }) => report.unit.shards.length),
  int4('added', ({ report }) => report.unit.shards.filter(({ isAdded }) => isAdded).length),
  int4('min_shards', ({ report }) => report.unit.minShards),
  int4('max_shards', ({ report }) => report.unit.maxShards),
  float8('utilisation', ({ report }) => utilisationOf(workingShards(report.unit))),
  text('waits', ({ report }) => waitsOf(report)),
  text('verdict', ({ report }) => report.verdict.action),
  text('reason', ({ report }) => report.verdict.reason),
]

export const showScaling: ShowCommand = {
  kind: 'show',
  name: 'SHOW SCALING',
  summary: 'One row per group and per pool with names of shards: whether it needs a shard more or less, and why.',
  columns: FIELDS,
  rows: ({ control }) => {
    const { mode, reports } = control.scaling()
    return rowsOf(
      FIELDS,
      reports.map((report) => ({ mode, report })),
    )
  },
}

/** Each tier with an objective: `medium 12 of 50 ms`. */
function waitsOf({ unit }: ScaleReport): string {
  return unit.tiers
    .map(({ tier, objectiveMs, onReplicasMs, onPrimaryMs }) => {
      return `${tier} ${Math.round(Math.max(onReplicasMs, onPrimaryMs))} of ${objectiveMs} ms`
    })
    .join(', ')
}
