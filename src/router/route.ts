import type { Shard, Topology } from '../shard/topology.ts'

/** Where a transaction goes; always with the reason. */
export type Route =
  | { readonly kind: 'shard'; readonly shard: Shard; readonly reason: string }
  /** Nowhere for now: wait for the next topology. */
  | { readonly kind: 'hold'; readonly reason: string }

/** Every transaction goes to its group's primary: the one that is up, else the one last seen. */
export function routeToPrimary(topology: Topology, group: string): Route {
  let known: Shard | null = null
  for (const shard of topology.shards) {
    if (shard.group !== group || shard.role !== 'primary' || shard.address === null) continue
    if (shard.up) return { kind: 'shard', shard, reason: `primary of group "${group}"` }
    known = shard
  }
  if (known !== null)
    return { kind: 'shard', shard: known, reason: `last known primary of group "${group}", which is down` }
  return { kind: 'hold', reason: `group "${group}" has no known primary` }
}

/** Where transactions of a database run that is for replicas only: those of the group that are in use. */
export function usableReplicas({ shards }: Topology, group: string): readonly Shard[] {
  return shards.filter((shard) => shard.group === group && isUsableReplica(shard))
}

/** It is one, it can be dialed, and nothing is known against it. */
export function isUsableReplica({ role, up, address, health }: Shard): boolean {
  return role === 'replica' && up && address !== null && health !== 'suspect'
}
