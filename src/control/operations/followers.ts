import type { Shard } from '../../shard/topology.ts'
import { isThere } from './members.ts'
import type { OperationWorld } from './operation.ts'

/**
 * Lets the servers among `replicas` that are there follow another primary. Returns those that do. One that is away, or goes away at
 * this very moment, holds up nobody: it is put right when it is back.
 */
export async function letFollow(
  world: OperationWorld,
  primary: Shard,
  replicas: readonly Shard[],
): Promise<readonly Shard[]> {
  for (const shard of replicas) {
    if (!isThere(shard)) world.say(`${shard.name} is away: it follows ${primary.name} when it is back.`)
  }
  const there = replicas.filter(isThere)
  const following = await Promise.all(there.map((shard) => follows(world, shard, primary)))
  return there.filter((_, at) => following[at])
}

async function follows(world: OperationWorld, { name }: Shard, primary: Shard): Promise<boolean> {
  try {
    await world.driver(primary).follow(name, primary.name)
    return true
  } catch (error) {
    if (!(error instanceof Error)) throw error
    world.say(`${name} does not follow ${primary.name} yet: ${error.message}`)
    return false
  }
}
