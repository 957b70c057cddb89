import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { ConfigError } from '../../src/errors.ts'
import type { Bench, BenchOptions } from './bench-environment.ts'
import { IdleClients } from './idle-client-process.ts'
import { measure } from './measure.ts'
import type { Peer, PeerName } from './peer.ts'
import { CpuMeter, type MemoryUse, processTitle, readMemoryUse, sumMemoryUse } from './process-usage.ts'
import { significant } from './statistics.ts'
import { formatTable } from './text-table.ts'

export interface IdleOptions extends BenchOptions {
  readonly clients: number
  /** How long one active client is measured, in seconds; idle CPU time is watched three times as long. */
  readonly seconds: number
}

/** The same three figures as for the whole proxy. */
interface ProcessBytes {
  readonly perClient: number
  readonly left: number
  readonly more: number
}

/** What one proxy showed. Bytes per client are over the empty, warmed-up proxy. */
interface IdleResult {
  readonly bytesPerClient: number
  readonly byProcess: Readonly<Record<string, ProcessBytes>>
  readonly emptyBytes: number
  readonly fdsPerClient: number
  readonly cpuPercent: number
  readonly loginsPerSecond: number
  readonly lost: number
  readonly activeP50Ms: number | null
  readonly activeP50MsWithoutIdle: number | null
  readonly bytesLeftPerClient: number
  readonly fdsLeft: number
  /** What as many clients take more than the first time, when they come again: a leak shows here, a heap not yet collected does not. */
  readonly bytesMorePerClient: number
}

/** Clients that come and go before the empty proxy is measured, so that code is compiled and tables have their first size. */
const warmUpClients = 200

/** A plane collects little garbage only when nothing has happened for 15 seconds; PgBouncer has none to collect. */
const secondsToRest: Readonly<Record<PeerName, number>> = { switchyard: 18, before: 18, pgbouncer: 0, direct: 0 }

/** What idle clients cost PgBouncer and Switchyard, one proxy after the other. Prints a table and returns what the JSON line holds. */
export async function idle(bench: Bench, options: IdleOptions): Promise<Record<string, unknown>> {
  checkLimits(options.clients)
  const results = new Map<string, IdleResult>()
  for (const name of options.peers.filter((peer) => peer !== 'direct')) {
    const peer = await bench.startPeer(name, options.clients + warmUpClients)
    if (peer === null) continue
    results.set(name, await measureIdle(peer, bench, options))
    await peer.stop()
  }
  printTable(results)
  const bytes = (name: string): number | null => round(results.get(name)?.bytesPerClient)
  return {
    clients: options.clients,
    bytes_per_idle_client: bytes('switchyard'),
    pgbouncer_bytes_per_idle_client: bytes('pgbouncer'),
    peers: Object.fromEntries([...results].map(([name, result]) => [name, asJson(result)])),
  }
}

/** One socket of ours and one of the proxy's per client: refuse early what the limits cannot hold. */
function checkLimits(clients: number): void {
  const [, soft] = /^Max open files\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8')) ?? []
  const [low = 0, high = 0] = readFileSync('/proc/sys/net/ipv4/ip_local_port_range', 'utf8')
    .trim()
    .split(/\s+/)
    .map(Number)
  const needed = clients + warmUpClients
  if (Number(soft) < needed + 100) {
    throw new ConfigError(
      `${clients} idle clients need ulimit -n of at least ${needed + 100}, it is ${soft}: run ulimit -n ${needed + 100}`,
    )
  }
  if (high - low < needed) {
    throw new ConfigError(
      `${clients} idle clients need as many local ports, net.ipv4.ip_local_port_range has ${high - low}`,
    )
  }
}

async function measureIdle(peer: Peer, bench: Bench, options: IdleOptions): Promise<IdleResult> {
  const idleClients = new IdleClients(bench.cleanup)
  const address = peer.address('simple')
  const active = {
    rate: 0,
    mode: 'simple',
    clients: 1,
    seconds: options.seconds,
    directory: bench.directory,
    signal: bench.signal,
  } as const

  await idleClients.open(address, warmUpClients)
  await idleClients.close()
  const withoutIdle = await measure(peer, active)
  const empty = await settled(peer, bench.signal)
  const emptyByProcess = byProcess(peer)

  const seconds = await idleClients.open(address, options.clients)
  const full = await settled(peer, bench.signal)
  const fullByProcess = byProcess(peer)
  const cpuPercent = await watchCpu(peer, options.seconds * 3, bench.signal)
  const withIdle = await measure(peer, active)
  const lost = await idleClients.close()
  const left = await settled(peer, bench.signal)
  const leftByProcess = byProcess(peer)
  await idleClients.open(address, options.clients)
  const again = await settled(peer, bench.signal)
  const againByProcess = byProcess(peer)
  await idleClients.stop()

  return {
    bytesPerClient: (full.pssBytes - empty.pssBytes) / options.clients,
    byProcess: Object.fromEntries(
      [...fullByProcess].map(([title, bytes]) => {
        const growth = (now: Map<string, number>, before: Map<string, number>): number =>
          ((now.get(title) ?? bytes) - (before.get(title) ?? 0)) / options.clients
        const perClient = growth(fullByProcess, emptyByProcess)
        return [
          title,
          { perClient, left: growth(leftByProcess, emptyByProcess), more: growth(againByProcess, fullByProcess) },
        ]
      }),
    ),
    emptyBytes: empty.pssBytes,
    fdsPerClient: (full.fds - empty.fds) / options.clients,
    cpuPercent,
    loginsPerSecond: options.clients / seconds,
    lost,
    activeP50Ms: withIdle.p50Ms,
    activeP50MsWithoutIdle: withoutIdle.p50Ms,
    bytesLeftPerClient: (left.pssBytes - empty.pssBytes) / options.clients,
    fdsLeft: left.fds - empty.fds,
    bytesMorePerClient: (again.pssBytes - full.pssBytes) / options.clients,
  }
}

/** Memory once it has come to rest: four readings in a row, half a second apart, within 0.2 %; or the last one after 20 s. */
async function settled(peer: Peer, signal: AbortSignal): Promise<MemoryUse> {
  await delay(secondsToRest[peer.name] * 1000, undefined, { signal })
  const readings: MemoryUse[] = []
  for (let tries = 0; tries < 40; tries++) {
    const now = sumMemoryUse(peer.processes())
    readings.push(now)
    const last = readings.slice(-4).map((reading) => reading.pssBytes)
    const fdsRest = readings.slice(-4).every((reading) => reading.fds === now.fds)
    if (last.length === 4 && fdsRest && Math.max(...last) - Math.min(...last) < now.pssBytes * 0.002) return now
    await delay(500, undefined, { signal })
  }
  console.error(`${peer.name}: memory did not come to rest within 20 s; the last reading counts`)
  return sumMemoryUse(peer.processes())
}

/** Proportional set size by process title; processes of one title are added up. */
function byProcess(peer: Peer): Map<string, number> {
  const bytes = new Map<string, number>()
  for (const pid of peer.processes()) {
    const title = processTitle(pid)
    bytes.set(title, (bytes.get(title) ?? 0) + readMemoryUse(pid).pssBytes)
  }
  return bytes
}

/** Per cent of one core that the proxy's processes use while nobody asks anything. */
async function watchCpu(peer: Peer, seconds: number, signal: AbortSignal): Promise<number> {
  const pids = peer.processes()
  const meter = new CpuMeter()
  meter.read(pids)
  const start = performance.now()
  await delay(seconds * 1000, undefined, { signal })
  return meter.read(pids) / ((performance.now() - start) * 10)
}

function printTable(results: ReadonlyMap<string, IdleResult>): void {
  const rows = [...results].map(([name, result]) => [
    name,
    (result.emptyBytes / 2 ** 20).toFixed(1),
    result.bytesPerClient.toFixed(0),
    result.bytesLeftPerClient.toFixed(0),
    result.bytesMorePerClient.toFixed(0),
    result.fdsPerClient.toFixed(2),
    String(result.fdsLeft),
    result.cpuPercent.toFixed(2),
    result.activeP50MsWithoutIdle?.toFixed(3) ?? '–',
    result.activeP50Ms?.toFixed(3) ?? '–',
    result.loginsPerSecond.toFixed(0),
    String(result.lost),
  ])
  const header = [
    'peer',
    'empty MB',
    'bytes/client',
    'left after',
    'more again',
    'fds/client',
    'fds left',
    'idle CPU %',
  ]
  console.log(formatTable([...header, 'p50 ms alone', 'p50 ms beside', 'logins/s', 'lost'], rows, { leftColumns: 1 }))
  for (const [name, result] of results) {
    for (const [title, { perClient, left, more }] of Object.entries(result.byProcess)) {
      const [one, two, three] = [perClient, left, more].map((bytes) => bytes.toFixed(0))
      console.log(`  ${name}: ${title}: ${one} bytes/client, ${two} left after, ${three} more again`)
    }
  }
}

function asJson(result: IdleResult): Record<string, unknown> {
  return {
    bytes_per_idle_client: round(result.bytesPerClient),
    bytes_per_idle_client_by_process: rounded(result, 'perClient'),
    bytes_per_client_left_by_process: rounded(result, 'left'),
    bytes_per_client_more_by_process: rounded(result, 'more'),
    empty_bytes: result.emptyBytes,
    bytes_per_client_left_after_close: round(result.bytesLeftPerClient),
    bytes_per_client_more_when_opened_again: round(result.bytesMorePerClient),
    fds_per_client: significant(result.fdsPerClient),
    fds_left_after_close: result.fdsLeft,
    idle_cpu_percent: significant(result.cpuPercent),
    active_p50_ms: significant(result.activeP50Ms),
    active_p50_ms_without_idle: significant(result.activeP50MsWithoutIdle),
    logins_per_second: round(result.loginsPerSecond),
    clients_lost: result.lost,
  }
}

function rounded(result: IdleResult, figure: keyof ProcessBytes): Record<string, number | null> {
  return Object.fromEntries(Object.entries(result.byProcess).map(([title, bytes]) => [title, round(bytes[figure])]))
}

function round(value: number | undefined): number | null {
  return value === undefined ? null : Math.round(value)
}
