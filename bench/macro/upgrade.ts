import { execFile } from 'node:child_process'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { CertificateAuthority, writeCredentials } from '../../test/support/certificates.ts'
import type { Bench, BenchOptions } from './bench-environment.ts'
import { signalProcess, until } from './cleanup.ts'
import { IdleClients } from './idle-client-process.ts'
import type { Peer } from './peer.ts'
import { type PgbenchResult, runPgbench } from './pgbench.ts'
import { processTitle } from './process-usage.ts'
import { startRouter } from './router-peer.ts'
import { significant } from './statistics.ts'
import { formatTable } from './text-table.ts'
import { throughput } from './throughput.ts'

export interface UpgradeOptions extends BenchOptions {
  /** How many clients are connected, case by case. */
  readonly clients: readonly number[]
  /** Transactions per second of the active ones together. */
  readonly rate: number
}

const ACTIVE = 100
/** Before the event, and from its end to that of the load. */
const QUIET_SECONDS = 3
const LOAD_SECONDS = 12
const EVENTS = ['upgrade', 'crash'] as const
type Event = (typeof EVENTS)[number]
const WAIT = { timeoutMs: 20_000 }

interface Case {
  readonly event: Event
  readonly clients: number
  readonly tls: boolean
  /** Transactions of active clients that failed, and active clients that gave up. */
  readonly errors: number
  /** Idle clients that were disconnected. */
  readonly dropped: number
  /** The longest transaction of an active client that ended after the event began, and before it. */
  readonly stallMaxMs: number
  readonly usualMaxMs: number
}

/**
 * What clients notice of an upgrade, and of a SIGKILL of the plane: most of them idle, 100 active at a fixed rate; the same with
 * active clients over TLS. Then throughput beside PgBouncer. Prints a table and returns what the JSON line holds.
 */
export async function upgrade(bench: Bench, options: UpgradeOptions): Promise<Record<string, unknown>> {
  const cases: Case[] = []
  for (const tls of [false, true]) cases.push(...(await casesOf(bench, options, tls)))
  console.log(
    formatTable(
      ['event', 'clients', 'errors', 'dropped', 'longest ms', 'before it ms'],
      cases.map((one) => [
        one.event + (one.tls ? ' (TLS)' : ''),
        ...[one.clients, one.errors, one.dropped, one.stallMaxMs, one.usualMaxMs].map(String),
      ]),
      { leftColumns: 1 },
    ),
  )
  const cells = { clients: new Map([['simple', [16]] as const]), seconds: 3, rounds: 1, rate: options.rate }
  const { cpu_ratio_16 } = await throughput(bench, { ...options, ...cells })
  return { ...Object.assign({}, ...cases.map(figuresOf)), cpu_ratio_16 }
}

/** `upgrade_stall_max_ms` is of the first number of clients; of the others it has the number behind it. */
function figuresOf(one: Case, _: number, all: readonly Case[]): Record<string, number> {
  const suffix = (one.clients === all[0]?.clients ? '' : `_${one.clients}`) + (one.tls ? '_tls' : '')
  return {
    [`${one.event}_errors${suffix}`]: one.errors,
    [`${one.event}_dropped${suffix}`]: one.dropped,
    [`${one.event}_stall_max_ms${suffix}`]: one.stallMaxMs,
  }
}

async function casesOf(bench: Bench, options: UpgradeOptions, tls: boolean): Promise<Case[]> {
  const directory = join(bench.directory, tls ? 'with-tls' : 'plain')
  mkdirSync(directory)
  const { server, cleanup } = bench
  const issued = new CertificateAuthority().issue({ commonName: 'localhost', names: ['localhost', '127.0.0.1'] })
  const certificate = tls ? writeCredentials(directory, 'router', issued) : null
  const router = await startRouter({
    ...{ server, directory, cleanup, checkout: options.checkout, certificate },
    maxClients: Math.max(...options.clients) + ACTIVE,
    cpuProfileDirectory: null,
  })
  const cases: Case[] = []
  for (const clients of options.clients) {
    for (const event of EVENTS) {
      const idle = new IdleClients(cleanup)
      await idle.open(router.address('simple'), clients - ACTIVE)
      const load = runPgbench({
        ...{ address: router.address('simple'), mode: 'paced', clients: ACTIVE, seconds: LOAD_SECONDS, tls },
        ...{ rate: options.rate, directory: bench.directory, signal: bench.signal },
      })
      await sleep(QUIET_SECONDS * 1000)
      const beganMs = Date.now()
      await HAPPEN[event](router, join(directory, 'switchyard'), options.checkout)
      const result = await load
      const dropped = await idle.close()
      await idle.stop()
      cases.push({ event, clients, tls, errors: result.failed, dropped, ...stalls(result, beganMs) })
      console.error(`${event} with ${clients} clients${tls ? ', TLS' : ''}: ${JSON.stringify(cases.at(-1))}`)
      if (result.failed > 0) console.error(result.complaint)
    }
  }
  await router.stop()
  return cases
}

/** Logging in is over a second after the first transaction. */
function stalls({ log }: PgbenchResult, beganMs: number): Pick<Case, 'stallMaxMs' | 'usualMaxMs'> {
  const first = log.finishedMs.reduce((least, at) => Math.min(least, at), Number.POSITIVE_INFINITY)
  let stall = 0
  let usual = 0
  for (const [index, at] of log.finishedMs.entries()) {
    const latency = (log.latencyUs[index] ?? 0) / 1000
    if (at >= beganMs) stall = Math.max(stall, latency)
    else if (at >= first + 1000) usual = Math.max(usual, latency)
  }
  return { stallMaxMs: significant(stall) ?? 0, usualMaxMs: significant(usual) ?? 0 }
}

const HAPPEN: Readonly<Record<Event, (router: Peer, data: string, checkout: string) => Promise<void>>> = {
  async upgrade(_, data, checkout) {
    const { stdout } = await promisify(execFile)(process.execPath, ['src/main.ts', 'upgrade', '--data', data], {
      cwd: checkout,
    })
    console.error(stdout.trim())
  },
  async crash(router) {
    const plane = () => router.processes().find((pid) => processTitle(pid) === 'switchyard: plane 0')
    await until('a standby', () => router.processes().some((pid) => processTitle(pid).endsWith('(standby)')), WAIT)
    const pid = plane()
    if (pid === undefined) throw new Error('the router has no plane')
    signalProcess(pid, 'SIGKILL')
    await until('its successor', () => ![undefined, pid].includes(plane()), WAIT)
  },
}
