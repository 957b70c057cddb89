import { drain, undrain } from './drain.ts'
import { notNow, primaryOf, replicasOf, shardNamed } from './members.ts'
import type { OperationScript, OperationStep, OperationWorld } from './operation.ts'
import { restart } from './restart.ts'
import { switchover } from './switchover.ts'

const STREAMING_MS = 60_000

/**
 * Restarts a whole group with other programs: the replicas one by one, then the primary, after one of them has taken its
 * place. What an interrupted run has finished with is left alone. `binDirectory` null: the programs that are installed now
 * where the old ones were.
 */
export function patch(world: OperationWorld, group: string, binDirectory: string | null): OperationScript {
  const topology = world.topology()
  const primary = primaryOf(topology, group)
  const replicas = replicasOf(topology, group)
  const down = replicas.find(({ up }) => !up)
  if (down !== undefined) throw notNow(`${down.name} is down: a group is patched when all of it runs.`)
  const left = replicas.filter(({ name }) => !world.finished.includes(name))
  const steps = left.flatMap(({ name }) => patchReplica(world, name, binDirectory))
  if (world.finished.includes(primary.name)) return { steps }
  const programs = binDirectory === null ? 'the new programs' : `the programs in ${binDirectory}`
  const last: OperationStep =
    replicas.length === 0
      ? { text: `restart ${primary.name} with ${programs}`, run: () => withPrograms(world, primary.name, binDirectory) }
      : {
          text: `make a patched replica the primary, and start ${primary.name} behind it with ${programs}`,
          run: () => patchPrimary(world, primary.name, binDirectory),
        }
  return { steps: [...steps, last] }
}

function patchReplica(world: OperationWorld, name: string, binDirectory: string | null): OperationStep[] {
  return [
    { text: `drain ${name}`, run: () => runAll(world, drain(world, name)) },
    { text: `restart ${name} with the new programs`, run: () => withPrograms(world, name, binDirectory) },
    {
      text: `wait until ${name} follows the primary again, and use it`,
      run: async () => {
        const shard = shardNamed(world.topology(), name)
        const { name: primary } = primaryOf(world.topology(), shard.group)
        if (!(await world.driver(shard).streams(name, primary, STREAMING_MS))) {
          throw notNow(`${name} does not stream from ${primary} after its restart.`, 'Its log says why.')
        }
        await runAll(world, undrain(world, name))
        world.finish(name)
      },
    },
  ]
}

/** Its server is stopped and started once, by the switchover. */
async function patchPrimary(world: OperationWorld, name: string, binDirectory: string | null): Promise<void> {
  const shard = shardNamed(world.topology(), name)
  const driver = world.driver(shard)
  const before = driver.use(name, binDirectory)
  try {
    await runAll(world, await switchover(world, shard.group, null))
    world.finish(name)
  } catch (error) {
    driver.use(name, before)
    await driver.start(name)
    throw error
  }
}

/** Back to the programs that it had, when it does not start with these. */
async function withPrograms(world: OperationWorld, name: string, binDirectory: string | null): Promise<void> {
  const driver = world.driver(shardNamed(world.topology(), name))
  const before = driver.use(name, binDirectory)
  try {
    await runAll(world, restart(world, name))
  } catch (error) {
    driver.use(name, before)
    await driver.start(name)
    world.say(`${name} runs its old programs again.`)
    await runAll(world, undrain(world, name))
    throw error
  }
}

/** A script within a script: its own way back is taken when it fails. */
async function runAll(world: OperationWorld, script: OperationScript): Promise<void> {
  try {
    for (const step of script.steps) await step.run()
  } catch (error) {
    try {
      await script.recover?.()
    } catch (failure) {
      world.say(failure instanceof Error ? failure.message : String(failure))
    }
    throw error
  }
}
