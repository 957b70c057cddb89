import type { Command } from 'commander'
import type { CommandContext } from './command-line.ts'

/** The commands that learn tiers from history. `finish` gets each one's exit code. */
export function addLearning(program: Command, context: CommandContext, finish: (code: number) => void): void {
  const { write, environment } = context
  const directory = environment.SWITCHYARD_DATA ?? '.switchyard'
  const load = async () => await import('./learning-commands.ts')
  const command = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('-d, --data <directory>', 'data directory of the router', directory)
  command('label', 'say what the connections of the history were, as far as anybody knows')
    .option('--truth <file>', 'what a laboratory knows of its connections')
    .option('--corrections <file>', 'one JSON object a line: user, database, application (with *) and tier')
    .option('--outcomes', 'let behaviour speak where nobody else does', false)
    .action(async ({ data, truth, corrections, outcomes }) => {
      const options = { data, truth: truth ?? null, corrections: corrections ?? null, outcomes }
      finish(await (await load()).label(options, write))
    })
  command('train', 'make a candidate model of the labelled history')
    .option('-o, --out <file>', 'where the model goes (default: models/candidate.json in the data directory)')
    .option('--seed <number>', 'of everything that chance decides', '1')
    .option('--portable', 'without any names, for use by others', false)
    .action(async ({ data, out, seed, portable }) => {
      finish(await (await load()).train({ data, out: out ?? null, seed: Number(seed), portable }, write))
    })
  command('evaluate', 'report how well that works, beside what would do without learning')
    .option('-o, --out <file>', 'name of the report without .html and .json')
    .option('--seed <number>', 'of everything that chance decides', '1')
    .action(async ({ data, out, seed }) => {
      finish(await (await load()).evaluate({ data, out: out ?? null, seed: Number(seed) }, write))
    })
  command('promote [file]', 'make the candidate the current model, if it is not worse')
    .option('--force', 'even if it is', false)
    .action(async (file, { data, force }) => finish(await (await load()).promote(data, file ?? null, force, write)))
  command('rollback', 'go back to the model before').action(async ({ data }) => {
    finish(await (await load()).rollback(data, write))
  })
  command('import-log <files...>', 'make history of logs of PostgreSQL (csvlog, jsonlog) or PgBouncer').action(
    async (files, { data }) => finish(await (await load()).importLogs(data, files, write)),
  )
  command('import-model <file>', 'make a candidate of a model of XGBoost saved as JSON').action(
    async (file, { data }) => finish(await (await load()).importModel(data, file, write)),
  )
}
