import { TIERS, type Tier } from './tier.ts'

/**
 * How fresh a read has to be that may run on a replica.
 *
 * - session: sees everything that its own session has written.
 * - identity: and what other sessions of its user, database and application have written.
 * - eventual: may be as old as `maxLagMs`.
 * - strong: runs on the primary.
 */
export type Consistency = 'session' | 'identity' | 'eventual' | 'strong'

/** A part of a shard's slots: so many, and so many of a hundred. */
export interface SlotShare {
  readonly slots: number
  readonly percent: number
}

/** What transactions of one tier may have, in the order of `TIERS`. Durations in milliseconds, 0 = no limit. */
export interface TierPolicy {
  readonly tier: Tier
  /** Names of pools of shards, the preferred first. */
  readonly pools: readonly string[]
  /** Slots of each shard that are this tier's when it wants them, and are lent while it does not. */
  readonly reserved: SlotShare
  /** Those of them that are never lent. */
  readonly kept: SlotShare
  /** Most slots of each shard. */
  readonly max: SlotShare
  /** Most transactions that wait for one shard. */
  readonly queue: number
  readonly queueWaitMs: number
  /** Whose newest transaction is refused first when too many wait altogether: the highest number's; 0 = never. */
  readonly shedOrder: number
  readonly queryMs: number
  readonly transactionMs: number
  /** Niceness of backends while they work for it, on servers that run under this router on its machine, 0 to 19. */
  readonly nice: number
  /** Its statements run without parallel workers; absent from a control process that knows nothing of it. */
  readonly isSerial?: boolean
  readonly consistency: Consistency
  /** What became of a COMMIT whose server connection was lost is looked up, for which each that has written something is marked. */
  readonly resolvesCommits: boolean
  /** What is run again when a server connection is lost. */
  readonly replay: ReplayPolicy
}

/** What is kept of a transaction, or of a read, to run it again; all 0: nothing. */
export interface ReplayPolicy {
  /** Most bytes that the client has sent. */
  readonly requestBytes: number
  /** Most bytes that it has got. */
  readonly resultBytes: number
  /** For how long a transaction may have been open. */
  readonly ageMs: number
}

export const NO_REPLAY: ReplayPolicy = Object.freeze({ requestBytes: 0, resultBytes: 0, ageMs: 0 })

/** A pool of shards as the operator names it. */
export interface ShardPoolPolicy {
  readonly name: string
  /** Names; null: every shard of the group. */
  readonly shards: readonly string[] | null
  readonly role: 'any' | 'primary' | 'replica'
}

/** What holds for clients of some user, database and application instead of their tier's rules; first match wins. */
export interface TierRule {
  /** Names with `*` for any run of characters. */
  readonly user: string
  readonly database: string
  readonly application: string
  readonly tier: Tier | null
  /** Null, here and below: as for its tier. Durations in milliseconds, 0 = no limit. */
  readonly consistency: Consistency | null
  readonly queueWaitMs: number | null
  readonly queryMs: number | null
  readonly transactionMs: number | null
  /** Names of pools of shards, the preferred first. These four are absent from a control process that knows nothing of them. */
  readonly pools?: readonly string[] | null
  /** Most slots of each shard that these clients have together. */
  readonly max?: SlotShare | null
  /** Most of their transactions that wait for one shard. */
  readonly queue?: number | null
  readonly shedOrder?: number | null
}

/** The rule's clients are counted apart from the others of their tier: they have a maximum, or a queue, of their own. */
export function isCountedApart({ max, queue, shedOrder }: TierRule): boolean {
  return (max ?? queue ?? shedOrder ?? null) !== null
}

/** How many transactions a shard may have at once. */
export interface AdmissionPolicy {
  readonly limit: 'fixed' | 'adaptive'
  /** Bounds of an adaptive limit below the shard's own. */
  readonly minSlots: number
  /** A tier's latency may be so many times what it is at best before others get fewer slots. */
  readonly tolerance: number
  /** After this long a waiting transaction counts as one of the next higher tier. */
  readonly ageMs: number
  /** Most transactions of all tiers that wait for one shard. */
  readonly maxWaiting: number
}

export interface RoutingPolicy {
  readonly reads: 'replicas' | 'primary'
  /** Where transactions that say READ ONLY may run, if `reads` lets reads leave the primary. */
  readonly readOnlyTransactions: 'replicas' | 'primary'
  /** Every plain BEGIN is answered by the router, and sent with the first statement behind it. */
  readonly defersBegin: boolean
  /** How long a read waits for a replica that is recent enough, in milliseconds. */
  readonly replicaWaitMs: number
  /** A replica that is further behind gets nothing. */
  readonly maxLagMs: number
  readonly slowStartMs: number
  /** Most pinned sessions that move from one replica to another in a second; absent from a control process that knows nothing of it. */
  readonly rebalance?: number
  /** Where this router is; null: nowhere in particular. */
  readonly zone: string | null
}

/** The operator's rules, compiled: what router and admission decide by. */
export interface Policy {
  readonly routing: RoutingPolicy
  readonly admission: AdmissionPolicy
  /** In the order of `TIERS`. */
  readonly tiers: readonly TierPolicy[]
  readonly pools: readonly ShardPoolPolicy[]
  readonly rules: readonly TierRule[]
}

/** Pools that are always there. */
export const BUILT_IN_POOLS: readonly ShardPoolPolicy[] = Object.freeze([
  { name: 'all', shards: null, role: 'any' },
  { name: 'primary', shards: null, role: 'primary' },
  { name: 'replicas', shards: null, role: 'replica' },
])

/** How many of a shard's slots a share is; `round` decides about fractions. */
export function slotsOf(share: SlotShare, limit: number, round: (value: number) => number): number {
  return Math.min(limit, share.slots + round((limit * share.percent) / 100))
}

/** All tiers are the same, and everything runs on the primary: what holds while nothing is configured yet. */
export const NO_POLICY: Policy = Object.freeze<Policy>({
  routing: {
    reads: 'primary',
    readOnlyTransactions: 'replicas',
    defersBegin: false,
    replicaWaitMs: 0,
    maxLagMs: 10_000,
    slowStartMs: 0,
    rebalance: 0,
    zone: null,
  },
  admission: { limit: 'fixed', minSlots: 1, tolerance: 2, ageMs: 5000, maxWaiting: 20_000 },
  tiers: TIERS.map(anyTier),
  pools: BUILT_IN_POOLS,
  rules: [],
})

/** No tier is less than another, and all goes to the primary. */
function anyTier(tier: Tier): TierPolicy {
  return {
    tier,
    pools: ['primary'],
    reserved: { slots: 0, percent: 0 },
    kept: { slots: 0, percent: 0 },
    max: { slots: 0, percent: 100 },
    queue: 10_000,
    queueWaitMs: 0,
    shedOrder: 1,
    queryMs: 0,
    transactionMs: 0,
    nice: 0,
    consistency: 'strong',
    resolvesCommits: false,
    replay: NO_REPLAY,
  }
}
