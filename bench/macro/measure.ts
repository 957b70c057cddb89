import type { Mode, Peer } from './peer.ts'
import { type PgbenchResult, runPgbench, type TransactionLog } from './pgbench.ts'
import { CpuMeter } from './process-usage.ts'
import { percentile } from './statistics.ts'

/** What one short run of pgbench against one peer showed, inside its steady window. */
export interface Measurement {
  /** Null, like all figures, when no run gave a window that is long enough. */
  readonly tps: number | null
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

/** pgbench's clock runs while its clients log in. A window shorter than this part of what was asked for is tried again, longer. */
const leastPart = 0.5
const tries = 3

/**
 * Runs pgbench once and reduces its log. Only the steady window counts, for all figures alike: from the first CPU reading that
 * lies `warmUpMs` after the first transaction, to the last one before the end.
 */
export async function measure(peer: Peer, run: Run): Promise<Measurement> {
  let loginMs = 0
  for (let attempt = 1; ; attempt++) {
    const { result, readings } = await watchedRun(peer, { ...run, seconds: run.seconds + Math.ceil(loginMs / 1000) })
    const { windowMs, ...reduced } = reduceWindow(result.log, readings)
    const { failed, complaint } = result
    if (windowMs >= run.seconds * 1000 * leastPart) {
      return { ...reduced, cpuUsPerTx: peer.processes().length === 0 ? null : reduced.cpuUsPerTx, failed, complaint }
    }
    if (attempt === tries) return { tps: null, p50Ms: null, p99Ms: null, cpuUsPerTx: null, failed, complaint }
    loginMs = Math.max(result.loginMs, loginMs) + 1000
  }
}

/** Runs pgbench while the CPU time of the peer's processes is read. */
async function watchedRun(peer: Peer, run: Run): Promise<{ result: PgbenchResult; readings: CpuReading[] }> {
  const pids = peer.processes()
  const meter = new CpuMeter()
  const readings: CpuReading[] = []
  const read = (): void => {
    readings.push({ cpuUs: meter.read(pids), atMs: Date.now() })
  }
  const timer = setInterval(read, readEveryMs)
  try {
    return { result: await runPgbench({ ...run, address: peer.address(run.mode) }), readings }
  } finally {
    clearInterval(timer)
  }
}

/** The figures of the steady window of one run. Where the run was too short for one, its length is 0 and there are no figures. */
export function reduceWindow(
  log: TransactionLog,
  readings: readonly CpuReading[],
): Pick<Measurement, 'tps' | 'p50Ms' | 'p99Ms' | 'cpuUsPerTx'> & { readonly windowMs: number } {
  let first = Number.POSITIVE_INFINITY
  let last = Number.NEGATIVE_INFINITY
  for (const at of log.finishedMs) {
    if (at < first) first = at
    if (at > last) last = at
  }
  const from = readings.find((reading) => reading.atMs >= first + warmUpMs)
  const to = readings.findLast((reading) => reading.atMs <= last)
  if (from === undefined || to === undefined || to.atMs <= from.atMs) {
    return { tps: null, p50Ms: null, p99Ms: null, cpuUsPerTx: null, windowMs: 0 }
  }
  const inside = log.latencyUs.filter((_, index) => {
    const at = log.finishedMs[index] ?? 0
    return at > from.atMs && at <= to.atMs
  })
  const windowMs = to.atMs - from.atMs
  return {
    windowMs,
    tps: (inside.length / windowMs) * 1000,
    p50Ms: milliseconds(percentile(inside, 0.5)),
    p99Ms: milliseconds(percentile(inside, 0.99)),
    cpuUsPerTx: inside.length === 0 ? null : (to.cpuUs - from.cpuUs) / inside.length,
  }
}

function milliseconds(microseconds: number | null): number | null {
  return microseconds === null ? null : microseconds / 1000
}
