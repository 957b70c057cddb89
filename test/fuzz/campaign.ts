import fc from 'fast-check'
import { type Program, showProgram } from './program.ts'
import { program } from './program-arbitrary.ts'

export interface CampaignOptions {
  readonly seed: number
  /** Programs to run; those that are run to make a failing one smaller are not counted. */
  readonly programs: number
  /** Ends the campaign early, in milliseconds; a program that has begun is finished. */
  readonly timeMs?: number
  /** Begins at this place of the seed's programs, as a difference says. */
  readonly path?: string
  /** Ends the campaign after so many differences. */
  readonly mostDiffering?: number
  /** Told of each difference, when it is as small as it gets. */
  readonly report: (difference: string) => void
}

export interface CampaignResult {
  readonly programs: number
  readonly differ: number
}

/** A difference need not be the smallest possible: then this is enough. */
const SHRINK_MS = 20_000

/** Seeds from one campaign to that beside it. */
const LANE_SEEDS = 1_000_003

/** Thrown by the property, so that fast-check makes the program smaller. */
class Differs extends Error {}

/** Runs random programs with `judge`, which says what differs, or null. Each difference is made small and reported. */
export async function runCampaign(
  judge: (program: Program) => Promise<string | null>,
  options: CampaignOptions,
): Promise<CampaignResult> {
  const started = performance.now()
  const timeLeft = (): number => (options.timeMs ?? Number.POSITIVE_INFINITY) - (performance.now() - started)
  let [programs, differ, seed] = [0, 0, options.seed]
  let path = options.path
  while (programs < options.programs && differ < (options.mostDiffering ?? 5) && timeLeft() > 0) {
    const round = await runRound(judge, { seed, path, programs: options.programs - programs, timeLeft })
    programs += round.programs
    if (round.difference === null) break
    differ += 1
    options.report(round.difference)
    seed += 1
    path = undefined
  }
  return { programs, differ }
}

/**
 * As many campaigns side by side as there are judges, each with programs of its own and an even share of their number. For a
 * given seed and number of judges they are always the same.
 */
export async function runCampaigns(
  judges: readonly ((program: Program) => Promise<string | null>)[],
  options: CampaignOptions,
): Promise<CampaignResult> {
  const share = Math.ceil(options.programs / judges.length)
  const campaigns = judges.map((judge, n) => {
    const programs = Math.min(share, options.programs - n * share)
    return runCampaign(judge, { ...options, seed: options.seed + n * LANE_SEEDS, programs })
  })
  const results = await Promise.all(campaigns)
  return {
    programs: results.reduce((sum, { programs }) => sum + programs, 0),
    differ: results.reduce((sum, { differ }) => sum + differ, 0),
  }
}

interface RoundOptions {
  readonly seed: number
  readonly path: string | undefined
  readonly programs: number
  readonly timeLeft: () => number
}

/** Programs until one differs. */
async function runRound(judge: (program: Program) => Promise<string | null>, options: RoundOptions) {
  const { seed, path } = options
  let programs = 0
  let shrinkUntil = Number.POSITIVE_INFINITY
  const broken: unknown[] = []
  /** An exception is the harness's own: there is nothing to make smaller. */
  const tryProgram = async (each: Program): Promise<string | null> => {
    if (broken.length > 0) return null
    try {
      return await judge(each)
    } catch (error) {
      broken.push(new Error(`the harness failed with this program:\n${showProgram(each)}`, { cause: error }))
      return null
    }
  }
  const property = fc.asyncProperty(program, async (each) => {
    const shrinking = Number.isFinite(shrinkUntil)
    if (performance.now() > shrinkUntil || (!shrinking && options.timeLeft() <= 0)) return
    if (!shrinking) programs += 1
    const difference = await tryProgram(each)
    if (difference === null) return
    if (shrinking) throw new Differs(difference)
    // A smaller program tells nothing when it is what other programs left behind that made this one differ.
    const isRepeatable = (await tryProgram(each)) !== null
    shrinkUntil = isRepeatable ? performance.now() + SHRINK_MS : 0
    throw new Differs(isRepeatable ? difference : `${difference}\n\nOn new server connections it does not differ.`)
  })
  const details = await fc.check(property, {
    seed,
    numRuns: options.programs,
    ...(path === undefined ? {} : { path, endOnFailure: true }),
  })
  if (broken.length > 0) throw broken[0]
  if (!details.failed) return { programs, difference: null }
  const { errorInstance, counterexamplePath } = details
  if (!(errorInstance instanceof Differs)) throw errorInstance
  const repeat = `npm run fuzz -- --seed ${seed} --path ${counterexamplePath}`
  return { programs, difference: `${errorInstance.message}\n\nto repeat it: ${repeat}\n` }
}
