import type { Command } from 'commander'
import type { CommandContext } from './command-line.ts'
import type { Operation } from './operate.ts'

interface Options {
  readonly config?: string
  readonly data?: string
  readonly to?: string
  readonly dryRun?: boolean
}

const COMMANDS: readonly {
  readonly name: string
  readonly argument: string
  readonly command: Operation['command']
  readonly description: string
  /** What `--to` names; null: there is no such option. */
  readonly to: string | null
  /** That describes it; `continuity` when not given. */
  readonly page?: string
}[] = [
  {
    name: 'restart',
    argument: '<shard>',
    command: 'RESTART',
    description: 'stop and start the server of a shard while its clients wait',
    to: null,
  },
  { name: 'drain', argument: '<shard>', command: 'DRAIN', description: 'send nothing new to a replica', to: null },
  { name: 'undrain', argument: '<shard>', command: 'UNDRAIN', description: 'use a drained replica again', to: null },
  {
    name: 'switchover',
    argument: '<group>',
    command: 'SWITCHOVER',
    description: 'make a replica the primary of its group, without losing anything',
    to: 'shard that becomes the primary (default: the replica with the most log)',
  },
  {
    name: 'patch',
    argument: '<group>',
    command: 'PATCH',
    description: 'restart a whole group with other programs, one server after another',
    to: 'directory of the programs (default: those that are installed now where the running ones came from)',
  },
  {
    name: 'scale-out',
    argument: '<group-or-pool>',
    command: 'SCALE OUT',
    description: 'make one more replica, and send reads to it when it has caught up',
    to: null,
    page: 'scaling',
  },
  {
    name: 'scale-in',
    argument: '[shard]',
    command: 'SCALE IN',
    description: 'drain a shard that scale-out has made, and remove it (default: the one that is needed least)',
    to: null,
    page: 'scaling',
  },
]

/** Adds the operations on shards to the command line. */
export function addOperations(program: Command, context: CommandContext, exit: (code: number) => void): void {
  for (const { name, argument, command, description, to, page = 'continuity' } of COMMANDS) {
    const parsed = program
      .command(`${name} ${argument}`)
      .description(`${description} (docs/${page}.md)`)
      .option('-c, --config <file>', 'configuration file of the router')
      .option(
        '-d, --data <directory>',
        'data directory of the router (default: .switchyard; overrides SWITCHYARD_DATA)',
      )
      .option('-n, --dry-run', 'tell what would be done, and do nothing')
    if (to !== null) parsed.option('--to <name>', to)
    parsed.action(async (target: string | undefined, options: Options) => {
      const { operate } = await import('./operate.ts')
      const operation = { command, name: target ?? null, to: options.to ?? null, isDryRun: options.dryRun === true }
      const place = { config: options.config ?? null, data: options.data ?? null }
      exit(await operate(operation, place, context.environment, context.write))
    })
  }
}
