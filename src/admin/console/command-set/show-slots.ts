import { readShardLoad, type TierLoadView } from '../../../memory/shard-records.ts'
import type { ShardAdjustment } from '../../../shard/shard-adjustment.ts'
import { TIERS } from '../../../shard/tier.ts'
import type { RouterControl } from '../../router-control.ts'
import { ruleLoads } from '../../rule-loads.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, float8, int4, int8, rowsOf, text } from '../table.ts'

/** Of a tier, or of the clients of a rule. */
interface Item {
  readonly shard: string
  readonly plane: number
  readonly limit: number
  readonly tier: string | null
  readonly rule: number | null
  /** Null: nobody counts that for rules. */
  readonly load: Counts & { readonly [K in keyof TierLoadView]: TierLoadView[K] | null }
  /** What is done on the shard to help higher tiers, when this tier is concerned; null: nothing. */
  readonly adjusted: ShardAdjustment | null
}

type Counts = Pick<TierLoadView, 'held' | 'waiting' | 'allowed'>

const NOTHING_ELSE = {
  ...{ admitted: null, waits: null, waitMs: null, refused: null, timedOut: null },
  ...{ latencySumMs: null, latencyCount: null, waitCounts: null },
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
  float8('avg_wait_ms', ({ load }) => mean(load.waitMs, load.waits)),
  int8('refused', ({ load }) => load.refused),
  int8('timed_out', ({ load }) => load.timedOut),
  float8('avg_query_ms', ({ load }) => mean(load.latencySumMs, load.latencyCount)),
  text('adjusted', ({ adjusted }) => (adjusted === null ? null : `${adjusted.step}: ${adjusted.reason}`)),
  int4('rule', ({ rule }) => rule),
]

export const showSlots: ShowCommand = {
  kind: 'show',
  name: 'SHOW SLOTS',
  summary: 'One row per shard and tier, or rule: transactions under way and waiting, and how many there may be.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, slotsOf(control)),
}

export const showQueues: ShowCommand = {
  kind: 'show',
  name: 'SHOW QUEUES',
  summary: 'The rows of SHOW SLOTS for tiers, and rules, that wait somewhere at this moment.',
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
        if (ofTier !== undefined)
          yield { shard: name, plane, limit: load.limit, tier, rule: null, load: ofTier, adjusted }
      }
    }
  }
  for (const { shard, plane, limit, rule, ...counts } of ruleLoads(control)) {
    yield { shard, plane, limit, tier: null, rule, load: { ...NOTHING_ELSE, ...counts }, adjusted: null }
  }
}

function mean(sum: number | null, count: number | null): number | null {
  if (sum === null || count === null) return null
  return count === 0 ? 0 : sum / count
}

/** The tier keeps its reservation, or has less than the policy says. */
function concerns(adjustment: ShardAdjustment | null, tier: number): boolean {
  return adjustment !== null && (adjustment.keepsReserved[tier] === true || adjustment.most[tier] !== null)
}
