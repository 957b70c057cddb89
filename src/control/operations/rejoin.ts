import { setTimeout as delay } from 'node:timers/promises'
import type { Shard } from '../../shard/topology.ts'
import type { ShardDriver } from '../scaling/drivers/shard-driver.ts'
import { notNow, primaryOf, shardNamed } from './members.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

/** How long it is waited for before anybody looks whether it gets on. */
const SLICE_MS = 5_000
/** One that gets on for so long is left to itself. */
const CATCHING_UP_MS = 60_000
/** What was under way ends in this time when its primary is lost. */
const ENDING_MS = 5_000

/**
 * A server that runs and does not follow its group's primary becomes its replica again: with other settings if that is enough, as
 * a new copy if it has a history of its own, or lacks log that nobody has any more.
 */
export function rejoin(world: OperationWorld, name: string): OperationScript {
  const shard = shardNamed(world.topology(), name)
  const primary = primaryOf(world.topology(), shard.group)
  if (primary.name === name) throw notNow(`${name} is the primary of group ${shard.group}.`)
  const parts = { shard, primary, driver: world.driver(shard) }
  world.driver(primary)
  let isFollowing = false
  // One that was only told to follow may not have tried for as long as `wal_retrieve_retry_interval`.
  let wasStarted = false
  let underWay: Promise<unknown> = Promise.resolve()
  return {
    steps: [
      {
        text: `let ${name} follow ${primary.name}`,
        run: async () => {
          const following = follow(world, parts)
          underWay = following
          wasStarted = await following
        },
      },
      {
        text: `wait until ${name} streams from ${primary.name}`,
        run: async () => {
          isFollowing = await streams(world, parts)
        },
      },
      {
        text: `copy ${name} from ${primary.name} if it cannot follow as it is`,
        run: async () => {
          if (!isFollowing) {
            const rejoining = parts.driver.rejoin(name, primary.name, wasStarted)
            underWay = rejoining
            if ((await rejoining) === 'cloned') world.say(`${name} is a new copy of ${primary.name}.`)
          }
          world.probe(shard)
        },
      },
    ],
    // Whoever goes on with these servers does not meet us at work on them.
    recover: async () => {
      await Promise.race([underWay.catch(() => undefined), delay(ENDING_MS, undefined, { ref: false })])
      world.probe(shard)
    },
  }
}

interface Parts {
  readonly shard: Shard
  readonly primary: Shard
  readonly driver: ShardDriver
}

/** Whether it was started for that. */
async function follow(world: OperationWorld, { shard, primary, driver }: Parts): Promise<boolean> {
  const { name } = shard
  await driver.prepare(primary.name, [name])
  const isPrimary = (await driver.position(name))?.isInRecovery === false
  if (isPrimary) {
    await world.cut(shard)
    await driver.stop(name)
  }
  await driver.follow(name, primary.name)
  return isPrimary
}

/** False: it does not, and does not get nearer to it. */
async function streams(world: OperationWorld, { shard, primary, driver }: Parts): Promise<boolean> {
  const deadline = performance.now() + CATCHING_UP_MS
  let replayed = (await driver.position(shard.name))?.replayed ?? 0n
  for (;;) {
    if (await driver.streams(shard.name, primary.name, SLICE_MS)) return true
    world.signal.throwIfAborted()
    const position = await driver.position(shard.name)
    if (position === null || position.replayed <= replayed) return false
    replayed = position.replayed
    if (performance.now() < deadline) continue
    world.say(`${shard.name} has not caught up with ${primary.name} yet.`)
    return true
  }
}
