import { shardNamed } from './members.ts'
import type { OperationScript, OperationWorld } from './operation.ts'

/** A server starts, or replays its log after a crash, in this time. */
const START_MS = 300_000

/** Stops a shard's server and starts it again. Requests wait meanwhile. */
export function restart(world: OperationWorld, name: string): OperationScript {
  const shard = shardNamed(world.topology(), name)
  const driver = world.driver(shard)
  return {
    steps: [
      {
        text: `write a checkpoint on ${name}, so that stopping it takes no time`,
        run: async () => {
          if (shard.up) await driver.checkpoint(name)
        },
      },
      { text: `hold requests to ${name}, and let its transactions end`, run: () => world.hold(shard) },
      { text: `stop ${name}`, run: () => driver.stop(name) },
      { text: `start ${name}`, run: () => driver.start(name) },
      {
        text: `let requests to ${name} go on`,
        run: async () => {
          world.goesOn()
          await world.release(shard)
          world.probe(shard)
          await world.untilUp(shard, START_MS)
        },
      },
    ],
    recover: () => driver.start(name),
  }
}
