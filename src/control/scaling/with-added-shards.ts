import { deepFreeze } from '../../config/deep-freeze.ts'
import type { Config, ShardConfig } from '../../config/schema.ts'
import type { AddedShard } from './added-shard.ts'

/**
 * `config` with the added shards that serve, as if it named them: in their groups, and in the pools that they were added
 * to. One whose name the operator has given to a shard of his own, or whose group is gone, is left out.
 */
export function withAddedShards(config: Config, added: readonly AddedShard[]): Config {
  const serving = added.filter((shard) => shard.state === 'serving' && isMissing(config, shard))
  if (serving.length === 0) return config
  return deepFreeze({
    ...config,
    shards: [...config.shards, ...serving.flatMap(shardConfig)],
    shardPools: config.shardPools.map((pool) => {
      const joined = serving.filter((shard) => shard.pool === pool.name).map(({ name }) => name)
      // One without names has all shards already.
      return pool.shards.length === 0 || joined.length === 0 ? pool : { ...pool, shards: [...pool.shards, ...joined] }
    }),
  })
}

function isMissing({ shards }: Config, { name, group, place }: AddedShard): boolean {
  const isTaken = shards.some((shard) => shard.name === name || isAt(shard, place))
  return !isTaken && shards.some((shard) => shard.group === group)
}

function isAt({ host, port }: ShardConfig, place: AddedShard['place']): boolean {
  return place !== null && place.host === host && place.port === port
}

function shardConfig({ name, group, place, maxConnections, slots, zone }: AddedShard): readonly ShardConfig[] {
  if (place === null) return []
  const { host, port, dataDirectory } = place
  return [{ name, host, port, group, dataDirectory, maxConnections, slots, zone }]
}
