import { notNow, shardNamed } from './members.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

/** Nothing new is sent to a replica, and what runs there ends. Its server runs on. */
export function drain(world: OperationWorld, name: string): OperationScript {
  const shard = shardNamed(world.topology(), name)
  if (shard.role === 'primary') {
    throw notNow(
      `${name} is the primary of group ${shard.group}: without it nothing can be written.`,
      `SWITCHOVER ${shard.group} makes another one the primary; then DRAIN ${name}.`,
    )
  }
  return {
    steps: [
      { text: `send nothing new to ${name}`, run: async () => world.setDrained(shard, true) },
      { text: `let transactions on ${name} end, and close its connections`, run: () => world.hold(shard) },
    ],
    recover: async () => world.setDrained(shard, false),
  }
}

/** The shard is used again. */
export function undrain(world: OperationWorld, name: string): OperationScript {
  const shard = shardNamed(world.topology(), name)
  return {
    steps: [
      {
        text: `use ${name} again`,
        run: async () => {
          world.setDrained(shard, false)
          await world.release(shard)
          world.probe(shard)
        },
      },
    ],
  }
}
