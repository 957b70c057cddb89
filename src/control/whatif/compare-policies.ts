import type { Config } from '../../config/schema.ts'
import { type Tier, tierCode } from '../../shard/tier.ts'
import { rulePlace } from '../../shard/tier-rule.ts'
import type { Shard, Topology } from '../../shard/topology.ts'
import { seededRandom } from '../../util/seeded-random.ts'
import { compilePolicy } from '../policy/compile-policy.ts'
import type { Outcome } from './outcome.ts'
import type { Recording } from './recorded-work.ts'
import { Simulation } from './simulation.ts'
import type { Work } from './work.ts'

/** How recorded work is gone through again; the same seed gives the same comparison. */
export interface CompareOptions {
  readonly seed: number
  /** So far replicas are behind. */
  readonly lagMs: number
}

/** What becomes of the recording under the policy of `config`, on its shards. */
export function outcomeUnder(recording: Recording, config: Config, { seed, lagMs }: CompareOptions): Outcome {
  const world = {
    topology: topologyOf(config),
    policy: compilePolicy(config),
    queryWaitMs: config.timeouts.queryWaitMs,
    lagMs,
    random: seededRandom(seed),
  }
  return Simulation.run(workUnder(recording, config), world)
}

/** The recording as `config` sees it: its rules come before what connections were, and it knows their groups. */
export function workUnder({ connections, uses, from, to }: Recording, config: Config): Work {
  const seen = connections.map((connection) => ({
    rule: rulePlace(config.tierRules, connection),
    group: groupOf(config, connection.database),
  }))
  return {
    durationMs: to - from,
    sessions: connections.length,
    transactions: uses.map(({ at, connection, serviceMs, isRead, tier }) => ({
      at,
      session: connection,
      serviceMs,
      isRead,
      tier: tierCode(
        config.tierRules[seen[connection]?.rule ?? -1]?.tier ?? tier ?? (config.analyzer.defaultTier as Tier),
      ),
      group: seen[connection]?.group ?? '',
      rule: seen[connection]?.rule ?? -1,
    })),
  }
}

function groupOf({ databases }: Config, database: string): string {
  const found = databases.find(({ entry }) => entry === database) ?? databases.find(({ entry }) => entry === '*')
  return found?.group ?? ''
}

/** The first shard of each group is its primary, as far as a file can say; all are up. */
export function topologyOf({ shards }: Config): Topology {
  const seen = new Set<string>()
  return {
    version: 1,
    shards: shards.map((shard, id): Shard => {
      const role = seen.has(shard.group) ? 'replica' : 'primary'
      seen.add(shard.group)
      const { name, group, host, port, maxConnections, slots, zone } = shard
      const health = { up: true, health: 'up', dataDirectory: null, adjustment: null } as const
      return { id, name, group, host, address: host, port, role, maxConnections, slots, zone, ...health }
    }),
  }
}
