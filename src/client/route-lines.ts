import { slotStanding } from '../admission/slot-standing.ts'
import { CLIENT, readClient } from '../memory/client-slots.ts'
import { POOL, POOL_TEXT } from '../memory/pool-records.ts'
import { type GroupPlan, placesOf } from '../router/route-table.ts'
import { ruleClients, ruleSays } from '../shard/rule-text.ts'
import { type Tier, tierCode } from '../shard/tier.ts'
import type { Shard } from '../shard/topology.ts'
import type { ClientHost } from './client-host.ts'

/** Where the client in `slot` reads next, for its own eyes: names and sentences. */
export function routeLines(host: ClientHost, slot: number): [string, string][] {
  const client = readClient(host.clients, slot)
  if (client === null) return []
  const { pools, routes } = host
  const lines: [string, string][] = [['tier', client.tier]]
  const rule = host.ruleOf(slot)
  if (rule !== null) lines.push(['rule', `for ${ruleClients(rule)}: ${ruleSays(rule)}`])
  const record = (host.clients.i32[slot * (host.clients.recordBytes >> 2) + CLIENT.pool] ?? 0) - 1
  const shard = record < 0 ? -1 : (pools.i32[record * (pools.recordBytes >> 2) + POOL.shard] ?? -1)
  if (record >= 0) lines.push(['last shard', pools.readText(record, POOL_TEXT.shard.offset)])
  if (client.pins.length > 0) lines.push(['pinned', client.pins.join(', ')])
  const entry = host.database(client.database)
  const plan = routes.of(entry?.group ?? '')
  if (plan === null) return lines
  if (entry?.role === 'replica') lines.push(['everything', 'runs on replicas: the database says so'])
  else {
    lines.push(['writes', plan.primary === null ? 'wait for a primary' : `run on ${plan.primary.name}`])
    if (plan.primary !== null) lines.push(['slot', slotAt(host, plan.primary, client.tier)])
    lines.push(...readLines(host, slot, client.tier, plan, shard))
  }
  return lines
}

function slotAt(host: ClientHost, { id, name }: Shard, tier: Tier): string {
  const load = host.readRouting.loadAt(id)
  return `at ${name}, ${slotStanding(load === null ? [] : [load], tier)}`
}

/** `shard`: the id of the one where it has been last. */
function readLines(host: ClientHost, slot: number, name: Tier, plan: GroupPlan, shard: number): [string, string][] {
  const { readRouting, now } = host
  const rule = host.ruleOf(slot)
  const tier = placesOf(plan, tierCode(name), rule)
  const { reads, readOnlyTransactions, replicaWaitMs } = readRouting.router.routing
  const demand = readRouting.demandOf(null, slot, tierCode(name), shard)
  if (tier === undefined || !readRouting.mayLeave(plan, slot, tierCode(name))) {
    const isStrong = demand.consistency === 'strong'
    const why = isStrong
      ? 'their consistency is strong'
      : `the pools of ${(rule?.pools ?? null) === null ? `tier ${name}` : 'their rule'} have no replica`
    return [['reads', `run on the primary: ${reads === 'primary' ? 'routing.reads says so' : why}`]]
  }
  const lines: [string, string][] = [['reads see', demand.consistency]]
  const transactions =
    readOnlyTransactions === 'replicas' ? 'that say READ ONLY run where reads do' : 'run on the primary'
  lines.push(['transactions', transactions])
  if (replicaWaitMs > 0) lines.push(['wait', `up to ${replicaWaitMs} ms for a replica that has what the session wrote`])
  for (const candidate of new Set(tier.pools.flat())) {
    const { usable, reason } = readRouting.router.standing(plan, candidate, demand, now)
    lines.push([candidate.shard.name, `${usable ? 'may be used' : 'may not be used'}: ${reason}`])
    if (!candidate.isPrimary) lines.push(['slot', slotAt(host, candidate.shard, name)])
  }
  return lines
}
