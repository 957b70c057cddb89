import { statSync } from 'node:fs'
import type { Environment } from '../config/environment.ts'
import { buildConfig, loadConfig } from '../config/load-config.ts'
import { readFailure } from '../config/referenced-file.ts'
import type { Config } from '../config/schema.ts'
import { readHistory, readHistoryFile } from '../control/learning/history-files.ts'
import type { HistoryRow } from '../control/learning/history-row.ts'
import { outcomeUnder } from '../control/whatif/compare-policies.ts'
import { comparisonTable } from '../control/whatif/comparison-table.ts'
import type { Outcome } from '../control/whatif/outcome.ts'
import { type Recording, recordingOf } from '../control/whatif/recorded-work.ts'
import { ConfigError } from '../errors.ts'
import { seededRandom } from '../util/seeded-random.ts'

export interface ReplayFlags {
  /** A directory of history, or one file of it. */
  readonly history: string
  /** Configuration with the policy to try. */
  readonly policy: string
  /** With the present one; null: the built-in policy, for the same shards. */
  readonly config: string | null
  /** Any text that `Date` understands; null: no bound. */
  readonly from: string | null
  readonly to: string | null
  readonly scale: string
  readonly lag: string
  readonly seed: string
  readonly json: boolean
}

/** More would take minutes, and gigabytes. */
const MOST_USES = 2_000_000

/**
 * `switchyard replay HISTORY --policy FILE`: what recorded work would have met under another policy, beside the present one.
 * Returns the exit code: 0, or 1 with a sentence that says what is wrong. `write` gets whole lines.
 */
export async function replay(
  flags: ReplayFlags,
  environment: Environment,
  write: (text: string) => void,
): Promise<number> {
  try {
    const after = loadConfig(flags.policy, environment)
    const before = flags.config === null ? builtIn(after) : loadConfig(flags.config, environment)
    const options = readOptions(flags)
    const rows = await readRows(flags.history)
    const recording = recordingOf(rows, { ...options, random: seededRandom(options.seed), mostUses: MOST_USES })
    if (recording.uses.length === 0) throw new ConfigError(nothingThere(flags.history, rows.length))
    const outcomes = {
      before: outcomeUnder(recording, before, options),
      after: outcomeUnder(recording, after, options),
    }
    for (const line of flags.json ? [json(recording, flags, outcomes)] : text(recording, flags, outcomes)) {
      write(`${line}\n`)
    }
    return 0
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    write(`${error.message}\n`)
    return 1
  }
}

/** The same shards and databases, with the policy that is built in. */
function builtIn(config: Config): Config {
  const { tiers, tierHigh, tierMedium, tierLow, tierBackground, tierRules, shardPools, routing } = buildConfig(
    { shards: [{ name: 'any', host: 'any' }], monitor: { user: 'any' } },
    { file: 'the built-in policy', directory: '.', environment: {} },
  )
  return { ...config, tiers, tierHigh, tierMedium, tierLow, tierBackground, tierRules, shardPools, routing }
}

interface ReplayOptions {
  readonly from: number
  readonly to: number
  readonly scale: number
  readonly lagMs: number
  readonly seed: number
}

function readOptions({ from, to, scale, lag, seed }: ReplayFlags): ReplayOptions {
  return {
    from: from === null ? Number.NEGATIVE_INFINITY : readTime('--from', from),
    to: to === null ? Number.POSITIVE_INFINITY : readTime('--to', to),
    scale: readNumber('--scale', scale, 0.001, 1000),
    lagMs: readNumber('--lag', lag, 0, 86_400_000),
    seed: readNumber('--seed', seed, 0, 2 ** 31),
  }
}

function readTime(flag: string, text: string): number {
  const time = Date.parse(text)
  if (!Number.isNaN(time)) return time
  throw new ConfigError(`${flag} is "${text}", but it must be a time; write for example ${flag} 2026-11-01T08:00:00Z.`)
}

function readNumber(flag: string, text: string, least: number, most: number): number {
  const number = Number(text)
  if (text.trim() !== '' && number >= least && number <= most) return number
  throw new ConfigError(`${flag} is "${text}", but it must be a number from ${least} to ${most}.`)
}

async function readRows(path: string): Promise<readonly HistoryRow[]> {
  let isDirectory: boolean
  try {
    isDirectory = statSync(path).isDirectory()
  } catch (error) {
    throw new ConfigError(
      `${path}: the history cannot be read (${readFailure(error)}); give the directory \`history\` in the data directory ` +
        'of a router, or one file in it.',
    )
  }
  try {
    return isDirectory ? await readHistory(path) : await readHistoryFile(path)
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(
      `${path}: this is no history of Switchyard (${reason}); its files end in .parquet or .ndjson.`,
    )
  }
}

function nothingThere(path: string, rows: number): string {
  if (rows === 0)
    return `${path}: there is no history in it; a router writes some while analyzer.history_sample is above 0.`
  return `${path}: no transaction of it lies between --from and --to; leave them out to have all of it.`
}

interface Outcomes {
  readonly before: Outcome
  readonly after: Outcome
}

function text(recording: Recording, flags: ReplayFlags, { before, after }: Outcomes): readonly string[] {
  const { connections, uses, isCut } = recording
  const [from, to] = [recording.from, recording.to].map((time) => new Date(time).toISOString())
  const cut = isCut
    ? [`only the first ${MOST_USES} transactions are in it; choose a part with --from and --to`, '']
    : []
  return [
    `history  ${from} to ${to}: ${connections.length} connections, ${uses.length} transactions`,
    `policy   ${flags.config ?? 'built in'} → ${flags.policy}`,
    '',
    ...cut,
    ...comparisonTable(before, after),
  ]
}

function json(recording: Recording, { config, policy }: ReplayFlags, { before, after }: Outcomes): string {
  const { from, to, connections, uses, isCut } = recording
  return JSON.stringify({
    history: {
      from: new Date(from).toISOString(),
      to: new Date(to).toISOString(),
      connections: connections.length,
      transactions: uses.length,
      isCut,
    },
    before: { policy: config, ...before },
    after: { policy, ...after },
  })
}
