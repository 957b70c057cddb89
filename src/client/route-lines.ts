import { CLIENT, readClient } from '../memory/client-slots.ts'
import { POOL, POOL_TEXT } from '../memory/pool-records.ts'
import { tierCode } from '../shard/tier.ts'
import type { ClientHost } from './client-host.ts'

/** Where the client in `slot` reads next, for its own eyes: names and sentences. */
export function routeLines(host: ClientHost, slot: number): [string, string][] {
  const client = readClient(host.clients, slot)
  if (client === null) return []
  const { pools, readRouting, routes, now } = host
  const lines: [string, string][] = [['tier', client.tier]]
  const record = (host.clients.i32[slot * (host.clients.recordBytes >> 2) + CLIENT.pool] ?? 0) - 1
  const shard = record < 0 ? -1 : (pools.i32[record * (pools.recordBytes >> 2) + POOL.shard] ?? -1)
  if (record >= 0) lines.push(['last shard', pools.readText(record, POOL_TEXT.shard.offset)])
  if (client.pins.length > 0) lines.push(['pinned', client.pins.join(', ')])
  const plan = routes.of(host.database(client.database)?.group ?? '')
  const tier = plan?.tiers[tierCode(client.tier)]
  if (plan === null || tier === undefined) return lines
  lines.push(['writes', plan.primary === null ? 'wait for a primary' : `run on ${plan.primary.name}`])
  if (!tier.mayLeave) {
    lines.push(['reads', 'run on the primary: the policy of the tier says so, or there is no replica'])
    return lines
  }
  const demand = readRouting.demandOf(null, slot, tierCode(client.tier), shard)
  lines.push(['reads see', demand.consistency])
  for (const candidate of new Set(tier.pools.flat())) {
    const { usable, reason } = readRouting.router.standing(plan, candidate, demand, now)
    lines.push([candidate.shard.name, `${usable ? 'may be used' : 'may not be used'}: ${reason}`])
  }
  return lines
}
