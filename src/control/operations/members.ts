import { RouterError } from '../../errors.ts'
import type { Shard, Topology } from '../../shard/topology.ts'

/** The shard of this name; throws 42704 when there is none. */
export function shardNamed({ shards }: Topology, name: string): Shard {
  const shard = shards.find((each) => each.name === name)
  if (shard !== undefined) return shard
  throw unknown(
    'shard',
    name,
    shards.map((each) => each.name),
  )
}

/** All shards of a group; throws 42704 when there is no such group. */
export function groupNamed({ shards }: Topology, group: string): readonly Shard[] {
  const members = shards.filter((shard) => shard.group === group)
  if (members.length > 0) return members
  throw unknown('group', group, [...new Set(shards.map((each) => each.group))])
}

/** The group's primary that is up; throws 55000 when there is none. */
export function primaryOf(topology: Topology, group: string): Shard {
  const primaries = groupNamed(topology, group).filter(({ role, up }) => role === 'primary' && up)
  const [primary] = primaries
  if (primary === undefined) throw notNow(`Group ${group} has no primary that is up.`)
  if (primaries.length === 1) return primary
  throw notNow(`Group ${group} has more than one primary: ${primaries.map(({ name }) => name).join(', ')}.`)
}

/**
 * The replicas of a group, up or not.
 *
 * @throws RouterError 42704 when there is no such group
 */
export function replicasOf(topology: Topology, group: string): readonly Shard[] {
  return groupNamed(topology, group).filter(({ role }) => role === 'replica')
}

/** The shards are not in a state for this. */
export function notNow(message: string, hint?: string): RouterError {
  return new RouterError('55000', message, { origin: 'client', ...(hint === undefined ? {} : { hint }) })
}

function unknown(what: string, name: string, known: readonly string[]): RouterError {
  return new RouterError('42704', `There is no ${what} "${name}".`, {
    origin: 'client',
    hint: `There is ${known.join(', ')}. Names with capitals have to be quoted.`,
  })
}

/** A server is there, also one that has just come back and has not proved itself: it has to follow another primary as all do. */
export function isThere({ up, health }: Shard): boolean {
  return up || health === 'starting'
}
