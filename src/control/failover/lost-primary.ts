import type { Shard, Topology } from '../../shard/topology.ts'

/**
 * Primaries that are down in groups that have no other one, as far as `isOurs` says that they are ours to replace: those of
 * which all shards are. A primary that was never seen is none.
 */
export function lostPrimaries({ shards }: Topology, isOurs: (shard: Shard) => boolean): readonly Shard[] {
  return shards.filter((shard) => {
    if (shard.role !== 'primary' || shard.up) return false
    const group = shards.filter((other) => other.group === shard.group)
    return group.every(isOurs) && !group.some(({ role, up }) => role === 'primary' && up)
  })
}
