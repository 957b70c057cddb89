import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench, BenchOptions } from './bench-environment.ts'
import type { Address, Peer } from './peer.ts'
import { runPgbench } from './pgbench.ts'
import { startRouter } from './router-peer.ts'
import { median, percentile, ratio, significant } from './statistics.ts'
import { formatTable } from './text-table.ts'

export interface IsolationOptions extends BenchOptions {
  readonly seconds: number
  /** Transactions per second of the high tier. */
  readonly rate: number
  /** Clients of the low tier. */
  readonly clients: number
  /** Its niceness, and its slots without parallel workers, for the run with a policy that shares the CPU too. */
  readonly nice: number
  readonly slots: number
  /** How often everything is measured; medians are reported. */
  readonly rounds: number
}

const HIGH_CLIENTS = 4
/** Before anything is measured: a process that has just started compiles what it does, beside what it does. */
const WARM_UP = { seconds: 5, rate: 2000 }
/** The load is there for so long before and after the high tier is measured. */
const MARGIN_SECONDS = 2
const PGBOUNCER = 'pgbouncer'
const ONE_TIER = 'switchyard, one tier'
const DIRECT = 'high directly'
const SLOTS_ONLY = 'switchyard, slots only'
const SHARED = 'switchyard, policy'
/** With parallel workers, three slots of low keep two cores busy; each is a core where there are none. */
const policy = (nice: number, max: number, parallel: 'on' | 'off'): string => `
[tiers.low]
max = ${max}
queue = 10000
nice = ${nice}
parallel = "${parallel}"

[[tiers.rules]]
application = "high"
tier = "high"

[[tiers.rules]]
application = "low"
tier = "low"
`
/** A report over all accounts, and an update of many of them. */
const LOW_SCRIPT = `\\set n random(1, 10)
SELECT sum(abalance), count(*) FROM pgbench_accounts WHERE aid % 10 = :n;
UPDATE pgbench_accounts SET abalance = abalance + 1 WHERE aid BETWEEN :n * 1000 AND :n * 1000 + 200;
`

/** What was measured of one peer in one round. */
interface Outcome {
  readonly name: string
  readonly aloneP99: number | null
  readonly loadedP99: number | null
  readonly lowTps: number
  readonly failed: number
}

/**
 * A modest rate of short reads, alone and while reports and writes saturate the server: through PgBouncer, through Switchyard
 * where all are of one tier, and where a policy sets them apart: by slots alone, and by shares of the CPU as well. Beside that last
 * load the same reads directly at the server: what they wait for there, no router can take from them.
 */
export async function isolation(bench: Bench, options: IsolationOptions): Promise<Record<string, unknown>> {
  const script = join(bench.directory, 'low.sql')
  writeFileSync(script, LOW_SCRIPT, { mode: 0o644 })
  const maxClients = options.clients + HIGH_CLIENTS
  const pgbouncer = options.peers.includes('pgbouncer') ? await bench.startPeer('pgbouncer', maxClients) : null
  const rounds: (readonly Outcome[])[] = []
  while (rounds.length < options.rounds) rounds.push(await round(bench, script, options, pgbouncer))
  await pgbouncer?.stop()
  return report(rounds)
}

async function round(
  bench: Bench,
  script: string,
  options: IsolationOptions,
  pgbouncer: Peer | null,
): Promise<readonly Outcome[]> {
  const maxClients = options.clients + HIGH_CLIENTS
  const outcomes: Outcome[] = []
  if (pgbouncer !== null) outcomes.push(await outcomeOf(PGBOUNCER, pgbouncer, bench, script, options))
  const common = { server: bench.server, directory: bench.directory, maxClients, cleanup: bench.cleanup, ...options }
  for (const [name, sections] of [
    [ONE_TIER, ''],
    [SLOTS_ONLY, policy(0, 3, 'on')],
    [SHARED, policy(options.nice, options.slots, 'off')],
  ] as const) {
    const router = await startRouter({ ...common, isManaged: true, sections })
    outcomes.push(await outcomeOf(name, router, bench, script, options))
    if (name === SHARED && options.peers.includes('direct'))
      outcomes.push(await outcomeOf(DIRECT, router, bench, script, options, bench.server.address))
    await router.stop()
  }
  return outcomes
}

async function outcomeOf(
  name: string,
  peer: Peer,
  bench: Bench,
  script: string,
  { seconds, rate, clients }: IsolationOptions,
  highAddress: Address = peer.address('paced'),
): Promise<Outcome> {
  const common = { address: peer.address('paced'), directory: bench.directory, signal: bench.signal, rate }
  const clientsOfHigh = { clients: HIGH_CLIENTS, seconds, application: 'high', address: highAddress }
  const high = { ...common, ...clientsOfHigh, mode: 'paced' } as const
  await runPgbench({ ...high, ...WARM_UP })
  const alone = await runPgbench(high)
  const lowSeconds = seconds + 2 * MARGIN_SECONDS
  const end = Date.now() + lowSeconds * 1000
  const low = runPgbench({ ...common, mode: 'simple', script, clients, seconds: lowSeconds, application: 'low' })
  await new Promise((resolve) => setTimeout(resolve, MARGIN_SECONDS * 1000))
  const loaded = await runPgbench(high)
  const done = await low
  console.error(`${name}: measured`)
  return {
    name,
    aloneP99: percentile(alone.log.latencyUs, 0.99),
    loadedP99: percentile(loaded.log.latencyUs, 0.99),
    // At the end every client waits for its last one, which is much of all where they take turns.
    lowTps: done.log.finishedMs.filter((ms) => ms <= end).length / lowSeconds,
    failed: alone.failed + loaded.failed + done.failed,
  }
}

function report(rounds: readonly (readonly Outcome[])[]): Record<string, unknown> {
  const all = rounds.flat()
  const names = [...new Set(all.map(({ name }) => name))]
  const of = (name: string): readonly Outcome[] => all.filter((each) => each.name === name)
  const ratiosOf = (name: string): readonly (number | null)[] =>
    of(name).map(({ aloneP99, loadedP99 }) => significant(ratio(loadedP99, aloneP99)))
  const keptOf = (name: string): number | null =>
    significant(median(of(name).map(({ lowTps }, index) => ratio(lowTps, of(ONE_TIER)[index]?.lowTps ?? null))))
  const milliseconds = (values: readonly (number | null)[]): string => shown((median(values) ?? 0) / 1000)
  console.log(
    formatTable(
      ['', 'high p99 alone, ms', 'loaded, ms', 'ratio', 'low, tps', 'failed'],
      names.map((name) => [
        name,
        milliseconds(of(name).map(({ aloneP99 }) => aloneP99)),
        milliseconds(of(name).map(({ loadedP99 }) => loadedP99)),
        shown(median(ratiosOf(name)) ?? 0),
        shown(median(of(name).map(({ lowTps }) => lowTps)) ?? 0),
        String(of(name).reduce((sum, { failed }) => sum + failed, 0)),
      ]),
      { leftColumns: 1 },
    ),
  )
  return {
    high_p99_ratio: significant(median(ratiosOf(SHARED))),
    high_p99_ratio_rounds: ratiosOf(SHARED),
    high_p99_ratio_slots_only: significant(median(ratiosOf(SLOTS_ONLY))),
    high_p99_ratio_direct: significant(median(ratiosOf(DIRECT))),
    high_p99_ratio_direct_rounds: ratiosOf(DIRECT),
    high_p99_ratio_one_tier: significant(median(ratiosOf(ONE_TIER))),
    high_p99_ratio_pgbouncer: significant(median(ratiosOf(PGBOUNCER))),
    low_throughput_kept: keptOf(SHARED),
    low_throughput_kept_slots_only: keptOf(SLOTS_ONLY),
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
  }
}

const shown = (value: number): string => String(significant(value, 3))
