import { duration } from '../duration.ts'
import { entries, optional, required, setting, table } from '../key.ts'
import { slotShare } from '../slot-share.ts'
import { choice, integer, list, text } from '../value-type.ts'
import { limitDuration, plainName } from './names.ts'

const consistency = choice('session', 'identity', 'eventual', 'strong')
const tier = choice('high', 'medium', 'low', 'background')
const poolNames = list(plainName, { allowed: 'the names of pools of shards, the preferred first', single: true })
const pattern = text('a name, in which * stands for any characters', /^[^\p{Cc}]{1,128}$/u)

export const tiers = table(
  'tiers',
  'What the tiers of connections get: where their transactions run, who waits, and who is refused. Every tier has rules ' +
    'of its own below; without any of these sections the defaults hold.',
  {
    age: setting(duration(100, 3_600_000), {
      default: '5s',
      doc: 'A transaction that has waited this long counts as one of the next higher tier, so that every tier goes on.',
    }),
    max_waiting: setting(integer(1, 1_000_000), {
      default: 20_000,
      doc:
        'Most transactions that wait for one shard, of all tiers together. Beyond it the newest one of the tier with the ' +
        'highest `shed_order` is refused.',
    }),
    concurrency: setting(choice('fixed', 'adaptive'), {
      default: 'fixed',
      doc:
        'How many transactions a shard has at once. `fixed`: as many as it has slots. `adaptive`: fewer, down to ' +
        '`min_slots`, for the lower tiers while the latency of the higher ones is more than `tolerance` times their best.',
    }),
    min_slots: setting(integer(1, 100_000), { default: 2, doc: 'An adaptive limit never goes below this many slots.' }),
    tolerance: setting(integer(2, 100), {
      default: 2,
      doc: 'How many times its best a higher tier’s latency may be before an adaptive limit gets smaller.',
    }),
  },
)

interface TierDefaults {
  readonly pools: readonly string[]
  readonly reserved: string | number
  readonly max: string
  readonly queue: number
  readonly shedOrder: number
  readonly nice: number
  readonly preserve: 'on' | 'off'
}

function tierSection(name: 'high' | 'medium' | 'low' | 'background', doc: string, by: TierDefaults) {
  return table(`tiers.${name}`, doc, {
    pools: setting(poolNames, {
      default: by.pools,
      doc: 'Where reads of this tier may run, the preferred pool first: `all`, `primary`, `replicas`, or one of `[[shard_pools]]`.',
    }),
    reserved: setting(slotShare, {
      default: by.reserved,
      doc: 'Slots of each shard that this tier gets back at the next transaction boundary when it wants them; lent until then.',
    }),
    kept: setting(slotShare, { default: 0, doc: 'Those of the reserved slots that are never lent.' }),
    max: setting(slotShare, { default: by.max, doc: 'Most slots of each shard that this tier may have.' }),
    queue: setting(integer(0, 1_000_000), {
      default: by.queue,
      doc: 'Most transactions of this tier that wait for one shard. More are refused with SQLSTATE 53300.',
    }),
    queue_wait: setting(limitDuration('`timeouts.query_wait` holds'), {
      default: 0,
      doc: 'How long a transaction of this tier waits for its turn before it is refused.',
    }),
    shed_order: setting(integer(0, 100), {
      default: by.shedOrder,
      doc: 'Who is refused first when too many wait for a shard: the tier with the highest number. 0: never for others.',
    }),
    query: setting(limitDuration('`timeouts.query` holds'), {
      default: 0,
      doc: 'A query that takes longer is cancelled.',
    }),
    transaction: setting(limitDuration(), {
      default: 0,
      doc: 'A transaction that takes longer is cancelled, or its idle client disconnected.',
    }),
    nice: setting(integer(0, 19), {
      default: by.nice,
      doc:
        'On shards with a `data_directory`, which are on this machine: how much less of the processors backends get while they work ' +
        'for this tier, as nice(1) counts (where the kernel rations changes: its reads that have run for 50 ms); where the kernel is ' +
        'Linux 6.12 or later, others are let in before them as soon as they wake up as well. 0: as much as others.',
    }),
    parallel: setting(choice('on', 'off'), {
      default: 'on',
      doc:
        'Whether queries of this tier may have parallel workers. `off`: its server connections have `max_parallel_workers` at 0, unless the ' +
        'client has set it, so that one slot is one processor at most. Plans stay what they are.',
    }),
    consistency: setting(consistency, {
      default: 'session',
      doc:
        'What a read on a replica sees. `session`: all that its session has written. `identity`: and what the other ' +
        'sessions of its user, database and application have. `eventual`: the state of up to `routing.max_lag` ago. ' +
        '`strong`: reads run on the primary.',
    }),
    replay: setting(choice('on', 'off'), {
      default: by.preserve,
      doc:
        'Transactions that were open on a server connection that is lost are run again on another one, within the limits of ' +
        '`[replay]`, if all that they answer is what it was before; a read of which a part was delivered is continued. For ' +
        'this, what clients send in a transaction is kept, and a checksum of what they get.',
    }),
    resolve_commits: setting(choice('on', 'off'), {
      default: by.preserve,
      doc:
        'What became of a COMMIT whose server connection was lost is looked up on the new primary, instead of telling the client ' +
        'that nobody knows. For this the transaction’s id is asked for ahead of each COMMIT of a transaction that has written something.',
    }),
  })
}

export const tierHigh = tierSection('high', 'The most important connections.', {
  pools: ['primary'],
  reserved: '20%',
  max: '100%',
  queue: 10_000,
  shedOrder: 1,
  nice: 0,
  preserve: 'on',
})

export const tierMedium = tierSection('medium', 'What a connection is until there is evidence.', {
  pools: ['all'],
  reserved: '10%',
  max: '100%',
  queue: 10_000,
  shedOrder: 2,
  nice: 0,
  preserve: 'on',
})

export const tierLow = tierSection('low', 'Reports, exports: what may take its time.', {
  pools: ['replicas', 'primary'],
  reserved: 0,
  max: '50%',
  queue: 2000,
  shedOrder: 3,
  nice: 10,
  preserve: 'off',
})

export const tierBackground = tierSection('background', 'What nobody waits for.', {
  pools: ['replicas', 'primary'],
  reserved: 0,
  max: '25%',
  queue: 500,
  shedOrder: 4,
  nice: 19,
  preserve: 'off',
})

export const tierRules = entries(
  'tiers.rules',
  null,
  'Clients for whom other things hold than for their tier, by user, database and application. The first rule that matches holds, with all ' +
    'that it says. Where there is `max`, `queue` or `shed_order`, these clients are counted apart from the others of their tier: who waits for one ' +
    'of their slots is in nobody’s way, and has a queue of its own.',
  {
    user: setting(pattern, { default: '*', example: 'shop', doc: 'User name.' }),
    database: setting(pattern, { default: '*', doc: 'Database, as the client names it.' }),
    application: setting(pattern, { default: '*', example: 'nightly-*', doc: '`application_name` at login.' }),
    tier: optional(tier, { example: 'high', doc: 'The tier of these clients, whatever they do.' }),
    pools: optional(poolNames, {
      example: ['reporting'],
      doc: 'Where their reads may run, the preferred pool first, instead of the pools of their tier.',
    }),
    consistency: optional(consistency, { example: 'strong', doc: 'Instead of that of their tier.' }),
    max: optional(slotShare, {
      example: '10%',
      doc: 'Most slots of each shard that these clients have together. What their tier may have holds as well.',
    }),
    queue: optional(integer(0, 1_000_000), {
      example: 200,
      doc: 'Most of their transactions that wait for one shard, instead of what their tier says. More are refused with SQLSTATE 53300.',
    }),
    shed_order: optional(integer(0, 100), {
      example: 5,
      doc: 'When too many wait for a shard, instead of that of their tier: the highest number is refused first. 0: never for others.',
    }),
    queue_wait: optional(limitDuration('`timeouts.query_wait` holds'), {
      example: '10s',
      doc: 'How long their transactions wait for their turn, instead of what their tier says.',
    }),
    query: optional(limitDuration('`timeouts.query` holds'), {
      example: '30s',
      doc: 'How long a query of theirs may take, instead of what their tier says; `timeouts.query` holds as well.',
    }),
    transaction: optional(limitDuration(), {
      example: '1min',
      doc: 'How long a transaction of theirs may take, instead of what their tier says.',
    }),
  },
)

export const shardPools = entries(
  'shard_pools',
  'name',
  'Pools of shards that tiers are sent to. `all`, `primary` and `replicas` are there without being written.',
  {
    name: required(plainName, { example: 'reporting', doc: 'What `pools` of a tier calls it.' }),
    shards: setting(list(plainName, { allowed: 'names of shards', single: true }), {
      default: [],
      example: ['db3'],
      doc: 'Its shards. All of the group when empty.',
    }),
    role: setting(choice('any', 'primary', 'replica'), {
      default: 'any',
      doc: 'Only those of its shards that are this at the moment.',
    }),
  },
)

export const routing = table('routing', 'Which transactions may run on replicas.', {
  reads: setting(choice('primary', 'replicas'), {
    default: 'primary',
    doc:
      '`replicas`: a statement that certainly only reads may run on a replica, if the pools and the consistency of its ' +
      'tier allow it. `primary`: everything runs on the primary.',
  }),
  read_only_transactions: setting(choice('primary', 'replicas'), {
    default: 'replicas',
    doc:
      'Where a transaction that says READ ONLY may run when `reads` lets reads leave the primary. `primary`: only statements ' +
      'outside of transactions run on replicas.',
  }),
  begin: setting(choice('at-once', 'deferred'), {
    default: 'at-once',
    doc:
      '`deferred`: a BEGIN is answered by the router, and sent together with the first statement behind it. So SET ' +
      'TRANSACTION READ ONLY behind a plain BEGIN counts, a transaction that does nothing needs no server connection, and ' +
      'one that is slow to begin keeps none. A BEGIN that says READ ONLY is always deferred where it may run on a replica.',
  }),
  replica_wait: setting(duration(0, 60_000, 'no wait'), {
    default: 0,
    doc:
      'How long a read waits for a replica of its first pool to have what the session wrote before it goes on to the next ' +
      'pool, or to the primary.',
  }),
  max_lag: setting(duration(10, 86_400_000), {
    default: '10s',
    doc: 'A replica that is further behind gets no reads, whatever their consistency.',
  }),
  slow_start: setting(duration(0, 3_600_000, 'full share at once'), {
    default: '10s',
    doc: 'A shard that comes back gets its full share of reads after this time.',
  }),
  rebalance: setting(integer(0, 1000, 'never'), {
    default: 4,
    doc:
      'Most pinned sessions of databases with role = "replica" that move in a second, so that each replica has its share of ' +
      'them when one joins, leaves or gets hot. Only sessions whose state can be had again move. Counted by each plane.',
  }),
  zone: optional(plainName, {
    example: 'eu-west-1a',
    doc: 'Where this router is. Replicas whose `zone` is the same are preferred.',
  }),
})
