import { readShardLoad, type TierLoadView } from '../../../memory/shard-records.ts'
import type { ShardAdjustment } from '../../../shard/shard-adjustment.ts'
import { TIERS } from '../../../shard/tier.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

interface Item {
  readonly shard: string
  readonly plane: number
  readonly limit: number
  readonly tier: string
  readonly load: TierLoadView
  /** What is done on the shard to help higher tiers, when this tier is concerned; null: nothing. */
  readonly adjusted: ShardAdjustment | null
}

const FIELDS: readonly Field<Item>[] = [
  text('shard', ({ shard }) => shard),
  int4('plane', ({ plane }) => plane),
  text('tier', ({ tier }) => tier),
  int4('held', ({ load }) => load.held),
  int4('waiting', ({ load }) => load.waiting),
  int4('allowed', ({ load }) => load.allowed),
  int4('slots', ({ limit }) => limit),
  int8('admitted', ({ load }) => load.admitted),
  int8('waits', ({ load }) => load.waits),
  float8('avg_wait_ms', ({ load }) => (load.waits === 0 ? 0 : load.waitMs / load.waits)),
  int8('refused', ({ load }) => load.refused),
  int8('timed_out', ({ load }) => load.timedOut),
  float8('avg_query_ms', ({ load }) => (load.latencyCount === 0 ? 0 : load.latencySumMs / load.latencyCount)),
  text('adjusted', ({ adjusted }) => (adjusted === null ? null : `${adjusted.step}: ${adjusted.reason}`)),
]

export const showSlots: ShowCommand = {
  kind: 'show',
  name: 'SHOW SLOTS',
  summary: 'One row per shard and tier: transactions under way and waiting, and how many there may be.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, slotsOf(control)),
}

export const showQueues: ShowCommand = {
  kind: 'show',
  name: 'SHOW QUEUES',
  summary: 'The rows of SHOW SLOTS for tiers that wait somewhere at this moment.',
  columns: FIELDS,
  rows: ({ control }) =>
    rowsOf(
      FIELDS,
      [...slotsOf(control)].filter(({ load }) => load.waiting > 0),
    ),
}

function* slotsOf(control: RouterControl): Generator<Item> {
  const { memory } = control
  for (const { id, name, adjustment } of control.topology().shards) {
    for (let plane = 0; plane < memory.geometry.planes; plane++) {
      const load = readShardLoad(memory.shards, plane, id)
      if (load === null) continue
      for (const [code, tier] of TIERS.entries()) {
        const ofTier = load.tiers[code]
        const adjusted = concerns(adjustment, code) ? adjustment : null
        if (ofTier !== undefined) yield { shard: name, plane, limit: load.limit, tier, load: ofTier, adjusted }
      }
    }
  }
}

/** The tier keeps its reservation, or has less than the policy says. */
function concerns(adjustment: ShardAdjustment | null, tier: number): boolean {
  return adjustment !== null && (adjustment.keepsReserved[tier] === true || adjustment.most[tier] !== null)
}
