import assert from 'node:assert/strict'
import { after, test } from 'node:test'
import { Arena } from './arena.ts'
import { runCampaigns } from './campaign.ts'
import { Trial } from './trial.ts'

/** The same programs in every run; more, and others, with `npm run fuzz`. */
const SEED = 20_261
const TIME_MS = 80_000
const PROGRAMS = 2_500
const LANES = 6

const arena = await Arena.open(LANES)
after(() => arena.close())

test('random programs of several clients get the same answers as from PostgreSQL itself', async (context) => {
  const trials = await Promise.all(arena.lanes.map((lane) => Trial.prepare(lane)))
  const differences: string[] = []
  const { programs } = await runCampaigns(
    trials.map((trial) => (program) => trial.judge(program)),
    {
      seed: SEED,
      programs: PROGRAMS,
      timeMs: TIME_MS,
      mostDiffering: 1,
      report: (difference) => differences.push(difference),
    },
  )
  context.diagnostic(`${programs} programs, ${differences.length} differ`)
  assert.ok(programs > 0)
  assert.equal(differences.join('\n'), '')
  assert.deepEqual(arena.faults, [])
})
