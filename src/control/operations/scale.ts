import type { ScaleChoice } from '../scaling/scale-world.ts'
import { notNow, shardNamed } from './members.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

/** The monitor sees a shard that runs in this time. */
const SEEN_MS = 60_000

/**
 * Makes a replica and sends reads to it. `choice`: what an interrupted run has decided; null: nothing yet. When a step
 * fails, nothing is sent to it any more, and nothing is left of it, unless there is no time for that now.
 */
export function scaleOut(world: OperationWorld, target: string, choice: ScaleChoice | null): OperationScript {
  const { scale, signal } = world
  const decided = choice ?? scale.choose(target)
  const { shard: name, group, pool } = decided
  const joined = pool === null ? `group ${group}` : `group ${group}, pool ${pool}`
  return {
    decided: { kind: 'scale-out', target, choice: decided },
    steps: [
      {
        text: `make ${name}, a copy of the primary of group ${group}, and start it`,
        run: async () => {
          const useless = scale.uselessness(decided)
          if (useless !== null) world.say(`${useless}.`)
          scale.begin(decided)
          await scale.create(name, signal)
        },
      },
      { text: `wait until ${name} has caught up with its primary`, run: () => scale.caughtUp(name, signal) },
      {
        text: `make ${name} a shard of ${joined}, and send reads there, few at first`,
        run: async () => {
          await scale.serve(name)
          world.probe(shardNamed(world.topology(), name))
          await world.until(
            `${name} to be up`,
            ({ shards }) => shards.some((shard) => shard.name === name && shard.up && shard.role === 'replica'),
            SEEN_MS,
          )
        },
      },
    ],
    recover: () => takeBack(world, name),
  }
}

async function takeBack(world: OperationWorld, name: string): Promise<void> {
  const { scale, signal } = world
  if (scale.get(name) === null) return
  await scale.leave(name)
  // Somebody needs the shards now: what is left is seen to later.
  if (signal.aborted) return
  await scale.destroy(name)
}

/** Takes a shard away that was added. `wanted` null: the one that is needed least. No client notices it. */
export function scaleIn(world: OperationWorld, wanted: string | null): OperationScript {
  const { scale } = world
  const name = wanted ?? scale.leastNeeded()
  if (name === null) throw notNow('No shard was added by SCALE OUT: there is none to take away.')
  const added = scale.get(name)
  const shard = world.topology().shards.find((each) => each.name === name) ?? null
  if (added === null) {
    const { group } = shardNamed(world.topology(), name)
    throw notNow(
      `${name} was not added by SCALE OUT: a shard of group ${group} that the configuration names ends there.`,
    )
  }
  if (shard?.role === 'primary' && added.state === 'serving') {
    throw notNow(
      `${name} is the primary of group ${shard.group}: without it nothing can be written.`,
      `SWITCHOVER ${shard.group} makes another one the primary; then SCALE IN ${name}.`,
    )
  }
  let hasLeft = false
  return {
    decided: { kind: 'scale-in', shard: name },
    steps: [
      {
        text: `send nothing new to ${name}, and let what runs there end`,
        run: async () => {
          if (shard === null) return
          world.setDrained(shard, true)
          await world.hold(shard, scale.drainMs)
        },
      },
      {
        text: `take ${name} out of the shards`,
        run: async () => {
          await scale.leave(name)
          hasLeft = true
          // Whoever gets its name next is not drained.
          world.setDrained({ name }, false)
          if (shard !== null) await world.release(shard)
        },
      },
      { text: `stop ${name}, and remove it with the slot that keeps log for it`, run: () => scale.destroy(name) },
    ],
    recover: async () => {
      if (hasLeft || shard === null) return
      world.setDrained(shard, false)
      await world.release(shard)
    },
  }
}
