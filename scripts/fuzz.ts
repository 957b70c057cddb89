import { parseArgs } from 'node:util'
import { Arena } from '../test/fuzz/arena.ts'
import { runCampaign } from '../test/fuzz/campaign.ts'
import { Trial } from '../test/fuzz/trial.ts'

/**
 * Runs random programs of sessions on PostgreSQL directly and through the router, and prints where the answers differ.
 *
 *   npm run fuzz -- --seed 7 --programs 500
 *   npm run fuzz -- --seed 7 --path 12:0:1      one program again, as a difference says
 *
 * The last line says how many ran and how many differ; the exit code is 1 when any does.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    programs: { type: 'string' },
    path: { type: 'string' },
    most: { type: 'string', default: '5' },
  },
})
const seed = Number(values.seed)
const programs = Number(values.programs ?? (values.path === undefined ? 500 : 1))
process.stdout.write(`seed ${seed}\n`)

const arena = await Arena.open()
try {
  const trial = await Trial.prepare(arena)
  const { path } = values
  const started = performance.now()
  const result = await runCampaign((program) => trial.judge(program), {
    seed,
    programs,
    ...(path === undefined ? {} : { path }),
    mostDiffering: Number(values.most),
    report: (difference) => process.stdout.write(`\n${difference}\n`),
  })
  const seconds = (performance.now() - started) / 1000
  process.stdout.write(`${((result.programs / seconds) * 60).toFixed(0)} programs a minute\n`)
  process.stdout.write(`${result.programs} programs, ${result.differ} differ\n`)
  if (result.differ > 0) process.exitCode = 1
} finally {
  await arena.close()
}
