import type { Shard } from '../../shard/topology.ts'
import { surveyReplicas } from './best-replica.ts'
import { letFollow } from './followers.ts'
import { groupNamed, shardNamed } from './members.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

const STREAMING_MS = 10_000

/**
 * A primary is lost for certain: nothing of it may run on, the replica with the most log becomes primary, and the lost one
 * its replica. Where no replica can be promoted the server is started again in its place.
 */
export function failover(world: OperationWorld, group: string, lost: string): OperationScript {
  const old = shardNamed(world.topology(), lost)
  const replicas = groupNamed(world.topology(), group).filter(({ name }) => name !== lost)
  const driver = world.driver(old)
  for (const shard of replicas) world.driver(shard)
  let promoted: Shard | null = null
  return {
    steps: [
      {
        text: `cut our connections to ${lost}, and end everything that runs on its data`,
        run: async () => {
          await Promise.all([world.cut(old), driver.fence(lost)])
        },
      },
      {
        text: 'promote the replica with the most log',
        run: async () => {
          promoted = await promoteBest(world, replicas, old)
        },
      },
      {
        text: 'let the other replicas follow it',
        run: async () => {
          if (promoted !== null) await followAll(world, promoted, replicas)
        },
      },
      {
        text: `bring ${lost} back as a replica`,
        run: async () => {
          if (promoted === null) return
          const how = await driver.rejoin(lost, promoted.name, false)
          world.say(`${lost} is a replica of ${promoted.name} now${how === 'cloned' ? ', as a new copy of it' : ''}.`)
          world.probe(old)
        },
      },
    ],
    // Without a new primary the old one is all there is.
    recover: async () => {
      if (promoted === null) await driver.start(lost)
      world.probe(old)
    },
  }
}

/** Null: there was none, and the lost one runs again. */
async function promoteBest(world: OperationWorld, replicas: readonly Shard[], old: Shard): Promise<Shard | null> {
  const { primary, best } = await surveyReplicas(world, replicas)
  const driver = world.driver(old)
  if (primary !== null) {
    world.say(`${primary.name} was promoted already.`)
    world.knowPrimary(primary)
    world.goesOn()
    return primary
  }
  if (best === null) {
    world.say(`No replica can take the place of ${old.name}: its server is started again.`)
    await driver.start(old.name)
    world.goesOn()
    await world.release(old)
    world.probe(old)
    return null
  }
  const { name } = best
  await driver.promote(name)
  world.knowPrimary(best)
  world.goesOn()
  const standbys = await driver.synchronousStandbys(name)
  world.say(
    standbys === ''
      ? `${name} is the primary now. Commits that ${old.name} acknowledged last may be lost: no replica had to ` +
          "confirm them. synchronous_standby_names = 'ANY 1 (*)' prevents that."
      : `${name} is the primary now, with every commit that was acknowledged (synchronous_standby_names = '${standbys}').`,
  )
  return best
}

async function followAll(world: OperationWorld, primary: Shard, replicas: readonly Shard[]): Promise<void> {
  const driver = world.driver(primary)
  const others = replicas.filter(({ name }) => name !== primary.name)
  // Log is kept for those that are away as well.
  await driver.prepare(
    primary.name,
    others.map(({ name }) => name),
  )
  for (const { name } of await letFollow(world, primary, others)) {
    if (await driver.streams(name, primary.name, STREAMING_MS)) continue
    // It had more of the lost one's log than the new primary.
    const how = await driver.rejoin(name, primary.name, true)
    world.say(`${name} follows ${primary.name} again${how === 'cloned' ? ', as a new copy of it' : ''}.`)
  }
}
