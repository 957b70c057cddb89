import { parseArgs } from 'node:util'
import { Arena } from '../test/fuzz/arena.ts'
import { runCampaigns } from '../test/fuzz/campaign.ts'
import { Trial } from '../test/fuzz/trial.ts'

/**
 * Runs random programs of sessions on PostgreSQL directly and through the router, and prints where the answers differ.
 *
 *   npm run fuzz -- --seed 7 --programs 500
 *   npm run fuzz -- --seed 7 --path 12:0:1      one program again, as a difference says
 *
 *   --programs N   how many (500)
 *   --lanes N      how many side by side (4); each has programs of its own
 *   --deferred     with routing.begin = "deferred"
 *   --tls          with TLS between router and PostgreSQL
 *   --most N       differences of a lane before it ends (5)
 *
 * The last line says how many ran and how many differ; the exit code is 1 when any does, or the router's log has errors.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    programs: { type: 'string' },
    path: { type: 'string' },
    lanes: { type: 'string', default: '4' },
    most: { type: 'string', default: '5' },
    deferred: { type: 'boolean', default: false },
    tls: { type: 'boolean', default: false },
  },
})
const seed = Number(values.seed)
const { path } = values
const programs = Number(values.programs ?? (path === undefined ? 500 : 1))
process.stdout.write(`seed ${seed}\n`)

const lanes = path === undefined ? Number(values.lanes) : 1
const arena = await Arena.open(lanes, { begin: values.deferred ? 'deferred' : 'at-once', usesTls: values.tls })
try {
  const judges = await Promise.all(arena.lanes.map((lane) => Trial.prepare(lane)))
  const started = performance.now()
  const result = await runCampaigns(
    judges.map((trial) => (program) => trial.judge(program)),
    {
      seed,
      programs,
      ...(path === undefined ? {} : { path }),
      mostDiffering: Number(values.most),
      report: (difference) => process.stdout.write(`\n${difference}\n`),
    },
  )
  const minutes = (performance.now() - started) / 60_000
  process.stdout.write(`${(result.programs / minutes).toFixed(0)} programs a minute\n`)
  for (const line of arena.faults) process.stdout.write(`${line}\n`)
  process.stdout.write(`${result.programs} programs, ${result.differ} differ\n`)
  if (result.differ > 0 || arena.faults.length > 0) process.exitCode = 1
} catch (error) {
  process.stderr.write(`the end of the router's log:\n${arena.log(40)}\n`)
  throw error
} finally {
  await arena.close()
}
