import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Bench, BenchOptions } from './bench-environment.ts'
import type { Address, Peer } from './peer.ts'
import { runPgbench } from './pgbench.ts'
import { startRouter } from './router-peer.ts'
import { percentile, significant } from './statistics.ts'
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
}

const HIGH_CLIENTS = 4
/** Before anything is measured: a process that has just started compiles what it does, beside what it does. */
const WARM_UP = { seconds: 5, rate: 2000 }
/** The load is there for so long before and after the high tier is measured. */
const MARGIN_SECONDS = 2
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
  const outcomes: Outcome[] = []
  const pgbouncer = options.peers.includes('pgbouncer') ? await bench.startPeer('pgbouncer', maxClients) : null
  if (pgbouncer !== null) outcomes.push(await outcomeOf('pgbouncer', pgbouncer, bench, script, options))
  await pgbouncer?.stop()
  const common = { server: bench.server, directory: bench.directory, maxClients, cleanup: bench.cleanup, ...options }
  for (const [name, sections] of [
    ['switchyard, one tier', ''],
    [SLOTS_ONLY, policy(0, 3, 'on')],
    [SHARED, policy(options.nice, options.slots, 'off')],
  ] as const) {
    const router = await startRouter({ ...common, isManaged: true, sections })
    outcomes.push(await outcomeOf(name, router, bench, script, options))
    if (name === SHARED && options.peers.includes('direct'))
      outcomes.push(await outcomeOf('high directly', router, bench, script, options, bench.server.address))
    await router.stop()
  }
  return report(outcomes)
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

function report(outcomes: readonly Outcome[]): Record<string, unknown> {
  const ratioOf = ({ aloneP99, loadedP99 }: Outcome): number | null =>
    aloneP99 === null || loadedP99 === null ? null : loadedP99 / aloneP99
  console.log(
    formatTable(
      ['', 'high p99 alone, ms', 'loaded, ms', 'ratio', 'low, tps', 'failed'],
      outcomes.map((each) => [
        each.name,
        shown((each.aloneP99 ?? 0) / 1000),
        shown((each.loadedP99 ?? 0) / 1000),
        shown(ratioOf(each) ?? 0),
        shown(each.lowTps),
        String(each.failed),
      ]),
      { leftColumns: 1 },
    ),
  )
  const of = (name: string): Outcome | undefined => outcomes.find((each) => each.name === name)
  const [bouncer, flat, policy] = ['pgbouncer', 'switchyard, one tier', SLOTS_ONLY].map(of)
  const [shared, direct] = [SHARED, 'high directly'].map(of)
  const kept = (each: Outcome | undefined): number | null =>
    each === undefined || flat === undefined ? null : significant(each.lowTps / flat.lowTps)
  return {
    high_p99_ratio: shared === undefined ? null : significant(ratioOf(shared)),
    high_p99_ratio_slots_only: policy === undefined ? null : significant(ratioOf(policy)),
    high_p99_ratio_direct: direct === undefined ? null : significant(ratioOf(direct)),
    high_p99_ratio_one_tier: flat === undefined ? null : significant(ratioOf(flat)),
    high_p99_ratio_pgbouncer: bouncer === undefined ? null : significant(ratioOf(bouncer)),
    low_throughput_kept: kept(shared),
    low_throughput_kept_slots_only: kept(policy),
    failed: outcomes.reduce((sum, { failed }) => sum + failed, 0),
  }
}

const shown = (value: number): string => String(significant(value, 3))
