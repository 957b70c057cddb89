import type { Command } from 'commander'
import type { CommandContext } from './command-line.ts'

interface ReplayArguments {
  readonly policy: string
  readonly config?: string
  readonly from?: string
  readonly to?: string
  readonly scale: string
  readonly lag: string
  readonly seed: string
  readonly json: boolean
}

/** The command that tries a policy on recorded work. `finish` gets its exit code. */
export function addReplay(program: Command, context: CommandContext, finish: (code: number) => void): void {
  program
    .command('replay <history>')
    .description('say what recorded work would have met under another policy, beside the present one')
    .requiredOption('-p, --policy <file>', 'configuration file with the policy to try')
    .option('-c, --config <file>', 'configuration file with the present policy (default: the built-in one)')
    .option('--from <time>', 'only what was recorded from then on')
    .option('--to <time>', 'only what was recorded until then')
    .option('--scale <number>', 'so many times the recorded load; 10 where analyzer.history_sample was 10', '1')
    .option('--lag <milliseconds>', 'so far replicas are behind', '20')
    .option('--seed <number>', 'of everything that chance decides', '1')
    .option('--json', 'one JSON object instead of tables', false)
    .action(async (history: string, { config, from, to, ...flags }: ReplayArguments) => {
      const { replay } = await import('./replay.ts')
      const all = { ...flags, history, config: config ?? null, from: from ?? null, to: to ?? null }
      finish(await replay(all, context.environment, context.write))
    })
}
