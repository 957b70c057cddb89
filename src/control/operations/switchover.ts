import { setTimeout as delay } from 'node:timers/promises'
import { RouterError } from '../../errors.ts'
import type { Shard } from '../../shard/topology.ts'
import { formatLsn } from '../../util/lsn.ts'
import { surveyReplicas } from './best-replica.ts'
import { letFollow } from './followers.ts'
import { groupNamed, notNow, primaryOf, replicasOf, shardNamed } from './members.ts'
import type { OperationScript, OperationStep, OperationWorld } from './operation.ts'

/** The rest of the log has to arrive in this time. */
const CATCH_UP_MS = 5_000
const STREAMING_MS = 30_000
const POLL_MS = 2

/**
 * Makes a replica the primary and the primary a replica. `from` and `to` by name; the old primary is shut down in good
 * order, so that the new one has every byte of its log, which is checked before it is promoted. When it has not, everything
 * stays as it was.
 */
export async function switchover(world: OperationWorld, group: string, to: string | null): Promise<OperationScript> {
  const topology = world.topology()
  const wanted = to === null ? null : shardNamed(topology, to)
  if (wanted !== null && wanted.group !== group) throw notNow(`${to} is not in group ${group} but in ${wanted.group}.`)
  const old = primaryOf(topology, group)
  if (wanted?.name === old.name) throw notNow(`${to} is the primary of group ${group} already.`)
  const replicas = replicasOf(topology, group).filter(({ up }) => up)
  const target = wanted ?? (await surveyReplicas(world, replicas)).best
  if (target === null) throw notNow(`Group ${group} has no replica that is up.`, 'SHOW SHARDS tells what is wrong.')
  if (!target.up) throw notNow(`${target.name} is down.`, 'SHOW SHARDS tells what is wrong.')
  const others = replicasOf(topology, group).filter(({ name }) => name !== target.name)
  const decided = { kind: 'switchover', group, to: target.name, from: old.name } as const
  return { ...switchoverSteps(world, { old, target, others }), decided }
}

/** The rest of a switchover that was interrupted. */
export function resumeSwitchover(
  world: OperationWorld,
  { group, from, to }: { group: string; from: string; to: string },
): OperationScript {
  const topology = world.topology()
  const [old, target] = [shardNamed(topology, from), shardNamed(topology, to)]
  const others = groupNamed(topology, group).filter(({ name }) => name !== from && name !== to)
  const parts = { old, target, others }
  if (target.role !== 'primary' || !target.up) return switchoverSteps(world, parts)
  return { steps: [{ text: `let the others follow ${to}, which is the primary`, run: () => followAll(world, parts) }] }
}

interface Parts {
  readonly old: Shard
  readonly target: Shard
  /** The group's other replicas. */
  readonly others: readonly Shard[]
}

/** The steps of a switchover between shards that are known to be fit for it. */
function switchoverSteps(world: OperationWorld, parts: Parts): OperationScript {
  const { old, target, others } = parts
  const driver = world.driver(old)
  for (const shard of [target, ...others]) world.driver(shard)
  let promoted = false
  const steps: OperationStep[] = [
    {
      text: `check that ${target.name} follows ${old.name}`,
      run: async () => {
        if (!old.up) return
        await driver.prepare(target.name, [old.name, ...others.map(({ name }) => name)])
        if (await driver.streams(target.name, old.name, CATCH_UP_MS)) return
        throw notNow(`${target.name} does not stream from ${old.name}.`, 'Its log says why.')
      },
    },
    {
      text: `write a checkpoint on ${old.name}, so that stopping it takes no time`,
      run: async () => {
        if (old.up) await driver.checkpoint(old.name)
      },
    },
    { text: `hold requests to ${old.name}, and let its transactions end`, run: () => world.hold(old) },
    { text: `stop ${old.name}`, run: () => driver.stop(old.name) },
    { text: `wait until ${target.name} has all of its log`, run: () => catchUp(world, parts) },
    {
      text: `promote ${target.name}`,
      run: async () => {
        await driver.promote(target.name)
        promoted = true
      },
    },
    {
      text: `send requests to ${target.name}`,
      run: async () => {
        world.knowPrimary(target)
        world.goesOn()
        world.probe(old)
      },
    },
    {
      text: `let ${[...others, old].map(({ name }) => name).join(' and ')} follow ${target.name}`,
      run: () => followAll(world, parts),
    },
  ]
  return {
    steps,
    recover: async () => {
      if (promoted) await driver.rejoin(old.name, target.name, false)
      else await driver.start(old.name)
      world.probe(old)
    },
  }
}

async function catchUp(world: OperationWorld, { old, target }: Parts): Promise<void> {
  const driver = world.driver(target)
  const end = await driver.cleanEnd(old.name)
  if (end === null) {
    if (driver.kind !== 'local') return
    throw new RouterError('58000', `${old.name} was not shut down in good order.`, { origin: 'router' })
  }
  const deadline = performance.now() + CATCH_UP_MS
  for (;;) {
    const position = await driver.position(target.name)
    // The position is that of the record's first byte.
    if (position === null || position.replayed > end) return
    if (performance.now() > deadline) {
      const [has, lacks] = [formatLsn(position.replayed), formatLsn(end)]
      throw new RouterError('58000', `${target.name} has the log of ${old.name} up to ${has} only, and not ${lacks}.`, {
        origin: 'router',
      })
    }
    await delay(POLL_MS)
  }
}

async function followAll(world: OperationWorld, { old, target, others }: Parts): Promise<void> {
  const driver = world.driver(target)
  // Those that run first: a primary that waits for a replica's acknowledgement has them at once.
  const following = await letFollow(world, target, others)
  await driver.follow(old.name, target.name)
  world.probe(old)
  for (const { name } of [...following, old]) {
    if (await driver.streams(name, target.name, STREAMING_MS)) continue
    if (name === old.name) await driver.rejoin(old.name, target.name, false)
    else world.say(`${name} does not stream from ${target.name} yet; its log says why.`)
  }
  await world.until(`${old.name} to be a replica`, isReplica(old.name), STREAMING_MS)
}

function isReplica(name: string) {
  return ({ shards }: { shards: readonly Shard[] }): boolean =>
    shards.some((shard) => shard.name === name && shard.role === 'replica')
}
