import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, rmSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { ConfigError } from '../../src/errors.ts'
import type { Address, Mode } from './peer.ts'

const modeArguments: Record<Mode, readonly string[]> = {
  simple: ['-S', '-M', 'simple'],
  paced: ['-S', '-M', 'simple'],
  extended: ['-S', '-M', 'extended'],
  prepared: ['-S', '-M', 'prepared'],
  tpcb: ['-M', 'simple'],
}

/** Every transaction that finished, in the order of the log files: when, and after how long. */
export interface TransactionLog {
  /** Milliseconds since the epoch. */
  readonly finishedMs: Float64Array
  readonly latencyUs: Float64Array
}

export interface PgbenchResult {
  readonly log: TransactionLog
  /** Transactions that ended with an error, plus one for each client that gave up. */
  readonly failed: number
  /** How long it took until all clients were logged in; the whole run, where pgbench does not say because it ended before. */
  readonly loginMs: number
  /** pgbench's own words when something failed; empty otherwise. */
  readonly complaint: string
}

/** pgbench's version, or an error that says where to get it. */
export async function pgbenchVersion(): Promise<string> {
  const { code, stdout } = await execute('pgbench', ['--version'], {}).catch((error: unknown) => {
    if (!(error instanceof Error && 'code' in error && error.code === 'ENOENT')) throw error
    throw new ConfigError(
      'pgbench is needed for this benchmark and is not installed: apt-get install postgresql-contrib',
    )
  })
  const version = /\(PostgreSQL\) (\S+)/.exec(stdout)?.[1]
  if (code !== 0 || version === undefined) throw new Error(`pgbench --version answered: ${stdout}`)
  return version
}

/** Creates and fills pgbench's tables. */
export async function initialisePgbench(address: Address, scale: number, signal: AbortSignal): Promise<void> {
  const args = ['-i', '-q', '-s', String(scale), ...connection(address)]
  const { code, stderr } = await execute('pgbench', args, { address, signal })
  if (code !== 0) throw new Error(`pgbench -i failed:\n${stderr}`)
}

/**
 * Runs pgbench and returns its transaction log (`-l`, all of them, for every peer alike). `directory` is for the log files.
 * Clients that fail are counted, not thrown; a run that could not start at all rejects.
 */
export async function runPgbench(options: {
  readonly address: Address
  readonly mode: Mode
  readonly clients: number
  readonly seconds: number
  /** Transactions per second of all clients together, for the mode `paced`. */
  readonly rate: number
  readonly directory: string
  readonly signal: AbortSignal
  /** Over TLS; by default not. */
  readonly tls?: boolean
  /** A script of our own instead of what the mode says. */
  readonly script?: string
  /** As what the clients introduce themselves; runs at the same time need different ones. */
  readonly application?: string
}): Promise<PgbenchResult> {
  const { address, clients, mode } = options
  const startedMs = performance.now()
  const { script, application = 'pgbench' } = options
  const prefix = `run-${process.pid}-${application}`
  const threads = Math.min(clients, availableParallelism())
  const { code, stdout, stderr } = await execute(
    'pgbench',
    [
      ...(script === undefined ? modeArguments[mode] : ['-f', script]),
      ...(mode === 'paced' ? ['-R', String(options.rate)] : []),
      ...['-n', '-c', String(clients), '-j', String(threads), '-T', String(options.seconds)],
      ...['-l', `--log-prefix=${join(options.directory, prefix)}`],
      ...connection(address),
    ],
    { address, signal: options.signal, tls: options.tls === true, application },
  )
  const texts = takeLogs(options.directory, prefix)
  const failed = countFailures(stdout, stderr)
  if (code !== 0 && failed === 0) throw new Error(`pgbench at port ${address.port} failed:\n${stderr.trim()}`)
  const loginMs = Number(/^initial connection time = ([\d.]+) ms/m.exec(stdout)?.[1] ?? performance.now() - startedMs)
  return { log: parseLogs(texts), failed, loginMs, complaint: failed === 0 ? '' : firstErrors(stderr) }
}

/**
 * Parses per-transaction logs: `client transaction latency_us script epoch_s epoch_us` a line, with `-R` one more: by
 * how many microseconds it started late, which is pgbench's own delay and is taken off. A failed transaction has a word for its
 * latency and is left out. https://www.postgresql.org/docs/current/pgbench.html#id-1.9.4.11.9.5
 */
export function parseLogs(texts: readonly string[]): TransactionLog {
  const finished: number[] = []
  const latency: number[] = []
  for (const text of texts) {
    for (const line of text.split('\n')) {
      const [, , us, , seconds, micros, lateUs = 0] = line.split(' ')
      const latencyUs = Number(us) - Number(lateUs)
      if (micros === undefined || Number.isNaN(latencyUs)) continue
      finished.push(Number(seconds) * 1000 + Number(micros) / 1000)
      latency.push(latencyUs)
    }
  }
  return { finishedMs: Float64Array.from(finished), latencyUs: Float64Array.from(latency) }
}

/** Failed transactions by pgbench's summary, and clients that stopped, by its messages. */
export function countFailures(stdout: string, stderr: string): number {
  const transactions = Number(/^number of failed transactions: (\d+)/m.exec(stdout)?.[1] ?? 0)
  const clients = stderr.match(/client \d+ (script \d+ )?aborted/g)?.length ?? 0
  return transactions + clients
}

function firstErrors(stderr: string): string {
  return stderr
    .split('\n')
    .filter((line) => line.includes('error') || line.includes('FATAL'))
    .slice(0, 3)
    .join('\n')
}

function connection(address: Address): string[] {
  return ['-h', address.host, '-p', String(address.port), '-U', address.user, address.database]
}

function takeLogs(directory: string, prefix: string): string[] {
  const names = readdirSync(directory).filter((name) => name.startsWith(`${prefix}.`))
  return names.map((name) => {
    const path = join(directory, name)
    const text = readFileSync(path, 'latin1')
    rmSync(path)
    return text
  })
}

/** Runs a program to its end and returns what it wrote. Rejects when it cannot be executed, or when `signal` ended it. */
async function execute(
  command: string,
  args: readonly string[],
  options: {
    readonly address?: Address
    readonly signal?: AbortSignal
    readonly tls?: boolean
    readonly application?: string
  },
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawn(command, args, {
    env: {
      ...process.env,
      PGPASSWORD: options.address?.password,
      ...(options.application === undefined ? {} : { PGAPPNAME: options.application }),
      PGSSLMODE: options.tls === true ? 'require' : 'disable',
      PGGSSENCMODE: 'disable',
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  let stdout = ''
  let stderr = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    stdout += chunk
  })
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk
  })
  await once(child, 'close')
  return { code: child.exitCode, stdout, stderr }
}
