import { Command, CommanderError } from 'commander'
import { VERSION } from '../version.ts'
import { addLearning } from './learning-command-line.ts'
import { addOperations } from './operation-commands.ts'
import { addReplay } from './replay-command-line.ts'
import type { StartContext } from './start.ts'

export interface CommandContext extends StartContext {
  /** Standard output. */
  readonly write: (text: string) => void
}

interface StartOptions {
  readonly config?: string
  readonly data?: string
  readonly supervised: boolean
  readonly keepShards: boolean
}

/** Parses `argv` (without program names), runs the command it names and returns the exit code. */
export async function runCommandLine(argv: readonly string[], context: CommandContext): Promise<number> {
  let exitCode = 0
  const program = new Command('switchyard')
    .description('A connection router for PostgreSQL')
    .version(VERSION, '-V, --version', 'print the version')
    .helpCommand(false)
    .exitOverride()
  program
    .command('start')
    .description('run the router; without --config before an embedded PostgreSQL cluster that it starts itself')
    .option('-c, --config <file>', 'configuration file (see docs/config.md)')
    .option('-d, --data <directory>', 'where data lives (default: .switchyard; overrides SWITCHYARD_DATA)')
    .option('--supervised', 'somebody restarts this program when it dies: no other process of the router does', false)
    .option('--keep-shards', 'leave the embedded cluster running at the end', false)
    .action(async ({ config, data, ...flags }: StartOptions) => {
      const { start } = await import('./start.ts')
      exitCode = await start({ ...flags, config: config ?? null, data: data ?? null }, context)
    })
  program
    .command('upgrade')
    .description('have a running router taken over by the version that is on disk now, while clients stay connected')
    .option('-c, --config <file>', 'configuration file of the router')
    .option('-d, --data <directory>', 'data directory of the router (default: .switchyard; overrides SWITCHYARD_DATA)')
    .option('--to <path>', 'another program: the bin/switchyard.js of an installed version, an older one to roll back')
    .option('--keeper', 'replace the keeper as well, in place, when all others are replaced', false)
    .action(async ({ config, data, to, keeper }: { config?: string; data?: string; to?: string; keeper: boolean }) => {
      const { upgrade } = await import('./upgrade.ts')
      const flags = { config: config ?? null, data: data ?? null, to: to ?? null, keeper }
      exitCode = await upgrade(flags, context.environment, context.write)
    })
  program
    .command('check-config <file>')
    .description('say what a configuration file means, or what is wrong with it')
    .action(async (file: string) => {
      const { checkConfig } = await import('./check-config.ts')
      exitCode = checkConfig(file, context.environment, context.write)
    })
  addReplay(program, context, (code) => {
    exitCode = code
  })
  addOperations(program, context, (code) => {
    exitCode = code
  })
  addLearning(program, context, (code) => {
    exitCode = code
  })
  program
    .command('version')
    .description('print the version')
    .action(() => context.write(`${VERSION}\n`))
  try {
    await program.parseAsync(argv, { from: 'user' })
    return exitCode
  } catch (error) {
    // Commander has said it already: help, version, or what is wrong with the arguments.
    if (error instanceof CommanderError) return error.exitCode
    throw error
  }
}
