import type { Bench, BenchOptions } from './bench-environment.ts'
import { printProfiles } from './cpu-profile.ts'
import { measure, type Run } from './measure.ts'
import type { Mode, Peer } from './peer.ts'
import { type Cell, isGoal, type Round, roundLine, throughputFigures, throughputTable } from './throughput-report.ts'

export interface ThroughputOptions extends BenchOptions {
  readonly clients: ReadonlyMap<Mode, readonly number[]>
  /** Length of one run. */
  readonly seconds: number
  readonly rounds: number
  /** Transactions per second of the mode `paced`. */
  readonly rate: number
}

/** The cells that goals are set for get more rounds than the others. */
const extraRounds = 3

/**
 * Transactions per second, latency and CPU time per transaction: PostgreSQL directly, PgBouncer and Switchyard in turn, cell by
 * cell. Prints a table and returns the figures for the JSON line.
 */
export async function throughput(bench: Bench, options: ThroughputOptions): Promise<Record<string, unknown>> {
  const { seconds, rate } = options
  const startedMs = Date.now()
  const common = { seconds, rate, directory: bench.directory, signal: bench.signal }
  const peers = await bench.startPeers(Math.max(...[...options.clients.values()].flat()))
  for (const peer of peers) await measure(peer, { ...common, mode: 'simple', clients: 20, seconds: 1 })
  const cells: Cell[] = []
  for (const [mode, counts] of options.clients) {
    for (const clients of counts) {
      const rounds = options.rounds + (isGoal(mode, clients) ? extraRounds : 0)
      cells.push(await runCell(peers, { ...common, mode, clients }, rounds))
    }
  }
  for (const peer of peers) await peer.stop()
  if (options.cpuProfileDirectory !== null) printProfiles(options.cpuProfileDirectory, startedMs)
  console.log(throughputTable(cells, peers))
  return throughputFigures(cells, peers)
}

/** Every round runs each peer once, so that a disturbance of the machine meets them alike, and starts with another one. */
async function runCell(peers: readonly Peer[], run: Run, rounds: number): Promise<Cell> {
  const results: Round[] = []
  for (let round = 0; round < rounds; round++) {
    const first = round % peers.length
    const result: Round = {}
    for (const peer of [...peers.slice(first), ...peers.slice(0, first)]) {
      const measured = await measure(peer, run)
      result[peer.name] = measured
      if (measured.failed > 0) console.error(`${peer.name}: ${measured.failed} failed\n${measured.complaint}`)
      if (run.mode === 'paced' && (measured.tps ?? 0) < run.rate * 0.9) {
        console.error(`${peer.name} does not keep up with ${run.rate}/s: choose a lower --rate`)
      }
    }
    results.push(result)
    console.error(`${run.mode}, ${run.clients} clients, round ${round + 1} of ${rounds}: ${roundLine(result)}`)
  }
  return { mode: run.mode, clients: run.clients, rounds: results }
}
