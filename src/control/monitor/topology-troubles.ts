import type { Topology } from '../../shard/topology.ts'

/** What is wrong with the shards as a whole, one sentence for each group that cannot take writes, or too many. */
export function topologyTroubles({ shards }: Topology): readonly string[] {
  return [...new Set(shards.map(({ group }) => group))].flatMap((group) => {
    const members = shards.filter((shard) => shard.group === group && shard.up)
    const primaries = members.filter(({ role }) => role === 'primary').map(({ name }) => name)
    if (members.length === 0) return [`no shard of group ${group} is up`]
    if (primaries.length === 0) return [`group ${group} has no primary that is up`]
    if (primaries.length > 1) return [`group ${group} has more than one primary: ${primaries.join(', ')}`]
    return []
  })
}
