import type { Mode, Peer } from './peer.ts'
import { runPgbench, type TransactionLog } from './pgbench.ts'
import { CpuMeter } from './process-usage.ts'
import { percentile } from './statistics.ts'

/** What one short run of pgbench against one peer showed, inside its steady window. */
export interface Measurement {
  readonly tps: number
  readonly p50Ms: number | null
  readonly p99Ms: number | null
  /** CPU time of the peer's processes per transaction, in microseconds; null where there is no proxy. */
  readonly cpuUsPerTx: number | null
  readonly failed: number
  readonly complaint: string
}

/** One run of pgbench. */
export interface Run {
  readonly mode: Mode
  readonly clients: number
  readonly seconds: number
  /** Transactions per second, for the mode `paced`. */
  readonly rate: number
  /** For pgbench's logs. */
  readonly directory: string
  readonly signal: AbortSignal
}

/** A reading of the CPU meter. */
export interface CpuReading {
  /** Milliseconds since the epoch. */
  readonly atMs: number
  readonly cpuUs: number
}

/** Logging in, opening server connections and warming up is not what is measured: this much after the first transaction is cut off. */
const warmUpMs = 300
const readEveryMs = 50

/**
 * Runs pgbench once and reduces its log. Only the steady window counts, for all figures alike: from the first CPU reading that
 * lies `warmUpMs` after the first transaction, to the last one before the end.
 */
export async function measure(peer: Peer, run: Run): Promise<Measurement> {
  const pids = peer.processes()
  const meter = new CpuMeter()
  const readings: CpuReading[] = []
  const read = (): void => {
    readings.push({ cpuUs: meter.read(pids), atMs: Date.now() })
  }
  const timer = setInterval(read, readEveryMs)
  try {
    const result = await runPgbench({ ...run, address: peer.address(run.mode) })
    const reduced = reduceWindow(result.log, readings)
    return {
      ...reduced,
      cpuUsPerTx: pids.length === 0 ? null : reduced.cpuUsPerTx,
      failed: result.failed,
      complaint: result.complaint,
    }
  } finally {
    clearInterval(timer)
  }
}

/** The figures of the steady window of one run. An empty window, where the run was too short, gives nulls and zero tps. */
export function reduceWindow(
  log: TransactionLog,
  readings: readonly CpuReading[],
): Pick<Measurement, 'tps' | 'p50Ms' | 'p99Ms' | 'cpuUsPerTx'> {
  let first = Number.POSITIVE_INFINITY
  let last = Number.NEGATIVE_INFINITY
  for (const at of log.finishedMs) {
    if (at < first) first = at
    if (at > last) last = at
  }
  const from = readings.find((reading) => reading.atMs >= first + warmUpMs)
  const to = readings.findLast((reading) => reading.atMs <= last)
  if (from === undefined || to === undefined || to.atMs <= from.atMs) {
    return { tps: 0, p50Ms: null, p99Ms: null, cpuUsPerTx: null }
  }
  const inside = log.latencyUs.filter((_, index) => {
    const at = log.finishedMs[index] ?? 0
    return at > from.atMs && at <= to.atMs
  })
  return {
    tps: (inside.length / (to.atMs - from.atMs)) * 1000,
    p50Ms: milliseconds(percentile(inside, 0.5)),
    p99Ms: milliseconds(percentile(inside, 0.99)),
    cpuUsPerTx: inside.length === 0 ? null : (to.cpuUs - from.cpuUs) / inside.length,
  }
}

function milliseconds(microseconds: number | null): number | null {
  return microseconds === null ? null : microseconds / 1000
}
