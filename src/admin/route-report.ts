import { slotStanding } from '../admission/slot-standing.ts'
import { type ClientView, pinReasons, readClient } from '../memory/client-slots.ts'
import { readShardLoad } from '../memory/shard-records.ts'
import type { SharedState } from '../memory/shared-state.ts'
import { Freshness } from '../router/freshness.ts'
import { type ReadDemand, ReadRouter } from '../router/read-route.ts'
import { type GroupPlan, placesOf, RouteTable } from '../router/route-table.ts'
import type { RoutingPolicy, TierRule } from '../shard/policy.ts'
import { ruleClients, ruleSays } from '../shard/rule-text.ts'
import { TIERS, type Tier, tierCode } from '../shard/tier.ts'
import { ruleFor } from '../shard/tier-rule.ts'
import type { Shard } from '../shard/topology.ts'
import { ReadScan } from '../sql/read-scan.ts'
import { FACT } from '../sql/statement-effects.ts'
import { StatementFacts } from '../sql/statement-facts.ts'
import { readTransactionText } from '../sql/transaction-text.ts'
import { poolAt } from './observe.ts'
import type { RouterControl } from './router-control.ts'
import { type RuleLoad, ruleLoads } from './rule-loads.ts'

/** One shard, or one step, of an explanation. */
export interface RouteLine {
  readonly tier: string
  readonly pool: string
  readonly shard: string
  readonly usable: boolean
  readonly reason: string
}

/** What the text of a statement says about where it may run. */
export interface Intent {
  readonly isRead: boolean
  readonly reason: string
}

/** What begins a transaction, and nothing else; null: `bytes` are not that. */
function intentOfTransaction(bytes: Buffer, routing: RoutingPolicy): Intent | null {
  const text = readTransactionText(bytes, 0, bytes.length)
  if (text?.kind !== 'begins') return null
  if (text.access !== 'read only')
    return { isRead: false, reason: 'a transaction that does not say READ ONLY may write' }
  if (text.isolation === 'serializable') return { isRead: false, reason: 'no replica has serializable transactions' }
  if (routing.readOnlyTransactions === 'primary') {
    return { isRead: false, reason: 'routing.read_only_transactions says so' }
  }
  return { isRead: true, reason: 'if its first statement certainly only reads: ' }
}

/** Whether `sql` certainly only reads, as a plane without a parser would see it, and why not, or on what condition. */
export function intentOf(sql: string, routing: RoutingPolicy): Intent {
  const bytes = Buffer.from(sql)
  const transaction = intentOfTransaction(bytes, routing)
  if (transaction !== null) return transaction
  if (!new ReadScan().isRead(bytes, 0, bytes.length)) {
    return {
      isRead: false,
      reason: 'it is no plain query, or has a word in it that may write, lock, or tell of the server',
    }
  }
  const facts = new StatementFacts(null)
  facts.read(bytes, 0, bytes.length)
  if (facts.pins !== 0) return { isRead: false, reason: `it may pin the session: ${pinReasons(facts.pins).join(', ')}` }
  if ((facts.flags & ~FACT.several) !== 0) return { isRead: false, reason: 'it depends on, or changes, the session' }
  return { isRead: true, reason: '' }
}

/** Where reads of each tier may run at this moment, for sessions that have written nothing. */
export function routesByTier(control: RouterControl): readonly RouteLine[] {
  const { router, table, now } = open(control)
  const nothing = { wroteAt: 0, sawAt: 0, sawOn: -1 }
  return [...table.plans].flatMap((plan) =>
    TIERS.flatMap((tier, code) => {
      const consistency = control.values().policy.tiers[code]?.consistency ?? 'strong'
      return linesOf(control, plan, { tier: code, rule: null, consistency, causality: nothing }, router, now).map(
        (line) => ({
          ...line,
          tier,
        }),
      )
    }),
  )
}

/** The same for the client in `slot`; null: there is none. */
export function routeOfClient(control: RouterControl, slot: number): readonly RouteLine[] | null {
  const { memory } = control
  const client = readClient(memory.clients, slot)
  if (client === null) return null
  const { router, table, now } = open(control)
  const { databases, policy } = control.values()
  const entry = databases.find(({ name }) => name === client.database) ?? databases.find(({ name }) => name === '*')
  const plan = entry === undefined ? null : table.of(entry.group)
  const tier = tierCode(client.tier)
  const head = { tier: client.tier, pool: '', shard: '', usable: false }
  if (plan === null) return [{ ...head, reason: 'its database is in no group of shards' }]
  if (entry?.role === 'replica') return [{ ...head, reason: 'everything runs on replicas: its database says so' }]
  const causality = {
    wroteAt: 0,
    sawAt: 0,
    sawOn: lastShard(memory, client),
  }
  const { user, database, applicationName: application } = client
  const rule = ruleFor(policy.rules, { user, database, application })
  const about = [...ruleOf(policy.rules, rule, head), ...standingOf(control, client, head)]
  const loads = ruleLoads(control).filter((load) => load.rule === policy.rules.indexOf(rule as TierRule) + 1)
  const consistency = rule?.consistency ?? policy.tiers[tier]?.consistency ?? 'strong'
  const lines = linesOf(control, plan, { tier, rule, consistency, causality }, router, now)
  return [
    ...about,
    ...lines.map((line) => ({
      ...line,
      tier: client.tier,
      reason: `${line.reason}; ${slotAt(control, line.shard, client.tier)}${ruleStanding(loads, line.shard)}`,
    })),
  ]
}

/** The operator's rule that decides about it, and what it says. */
function ruleOf(
  rules: readonly TierRule[],
  rule: TierRule | null,
  head: Omit<RouteLine, 'reason'>,
): readonly RouteLine[] {
  if (rule === null) return []
  const number = rules.indexOf(rule) + 1
  return [{ ...head, reason: `rule ${number} of tiers.rules (${ruleClients(rule)}) says ${ruleSays(rule)}` }]
}

/** What the clients of its rule have of the shard, when they are counted apart. */
function ruleStanding(loads: readonly RuleLoad[], shard: string): string {
  const here = loads.filter((load) => load.shard === shard)
  if (here.length === 0) return ''
  const total = (of: 'held' | 'allowed' | 'waiting') => here.reduce((sum, load) => sum + load[of], 0)
  const full = total('held') >= total('allowed') ? ', so that it waits for one of those' : ''
  return `; clients of its rule have ${total('held')} of ${total('allowed')}, ${total('waiting')} wait${full}`
}

/** What is so of the client itself, wherever it goes: what keeps it where it is, and whether it waits. */
function standingOf(control: RouterControl, client: ClientView, head: Omit<RouteLine, 'reason'>): readonly RouteLine[] {
  const lines: RouteLine[] = []
  if (client.pins.length > 0) {
    lines.push({ ...head, reason: `it keeps its server connection: ${client.pins.join(', ')}` })
  }
  if (client.state === 'waiting') {
    const pool = poolAt(control.memory, client.pool)
    const ms = Math.max(0, control.nowMonotonic() - client.waitingSince).toFixed(0)
    lines.push({ ...head, shard: pool?.shard ?? '', reason: `it has waited for ${ms} ms` })
  }
  return lines
}

function slotAt(control: RouterControl, name: string, tier: Tier): string {
  const shard = control.topology().shards.find((each) => each.name === name)
  const { shards, geometry } = control.memory
  const loads = Array.from({ length: shard === undefined ? 0 : geometry.planes }, (_, plane) =>
    readShardLoad(shards, plane, shard?.id ?? -1),
  )
  return slotStanding(
    loads.filter((load) => load !== null),
    tier,
  )
}

function lastShard(memory: SharedState, client: ClientView): number {
  return poolAt(memory, client.pool)?.shardId ?? -1
}

function open(control: RouterControl): {
  readonly router: ReadRouter
  readonly table: RouteTable
  readonly now: number
} {
  const { memory } = control
  const { policy } = control.values()
  const now = control.nowMonotonic()
  const table = new RouteTable({ loadOf: (shard) => loadOf(memory, shard) })
  table.rebuild(policy, control.topology(), now)
  return { router: new ReadRouter(new Freshness(memory.shards), () => 0, policy.routing), table, now }
}

/** Over all planes. */
function loadOf(memory: SharedState, { id, slots, maxConnections }: Shard) {
  let busy = 0
  let peak = 0
  for (let plane = 0; plane < memory.geometry.planes; plane++) {
    const load = readShardLoad(memory.shards, plane, id)
    if (load === null) continue
    busy += load.tiers.reduce((sum, { held }) => sum + held, 0)
    peak = Math.max(peak, load.peakLatencyMs)
  }
  return { busy, limit: slots ?? maxConnections, peakMs: () => peak }
}

function linesOf(
  control: RouterControl,
  plan: GroupPlan,
  demand: ReadDemand,
  router: ReadRouter,
  now: number,
): readonly Omit<RouteLine, 'tier'>[] {
  const { policy } = control.values()
  const tier = placesOf(plan, demand.tier, demand.rule)
  const names = demand.rule?.pools ?? policy.tiers[demand.tier]?.pools ?? []
  if (tier?.reachesReplicas !== true || demand.consistency === 'strong') {
    const why =
      policy.routing.reads === 'primary'
        ? 'routing.reads says so'
        : demand.consistency === 'strong'
          ? `its consistency is strong${demand.rule?.consistency === 'strong' ? ', as its rule says' : ''}`
          : `its ${demand.rule?.pools ? 'rule’s ' : ''}pools have no replica`
    return [
      {
        pool: '',
        shard: plan.primary?.name ?? '',
        usable: plan.primary !== null,
        reason: `everything runs on the primary: ${why}`,
      },
    ]
  }
  return tier.pools.flatMap((pool, index) =>
    pool.map((candidate) => ({
      pool: names[index] ?? '',
      shard: candidate.shard.name,
      ...router.standing(plan, candidate, demand, now),
    })),
  )
}
