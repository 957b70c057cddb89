import { setTimeout as delay } from 'node:timers/promises'
import { ContinuityBed } from '../../test/support/continuity-bed.ts'
import { type LoadKind, MixedLoad } from '../../test/support/mixed-load.ts'
import { waitUntil } from '../../test/support/wait-until.ts'
import type { Bench } from './bench-environment.ts'
import { startPgbouncerBefore } from './continuity-pgbouncer.ts'
import { percentile, significant } from './statistics.ts'
import { formatTable } from './text-table.ts'

export interface ContinuityOptions {
  readonly clients: number
  /** How long the load runs before and after each event, in seconds. */
  readonly seconds: number
  readonly isPgbouncerWanted: boolean
}

/** What clients noticed of one event. */
interface Outcome {
  readonly errors: number
  /** The same by what was asked and SQLSTATE: `implicit 08007`. */
  readonly errors_by_kind: Readonly<Record<string, number>>
  readonly dropped: number
  readonly lost_commits: number
  readonly double_commits: number
  readonly stall_p50_ms: number | null
  readonly stall_max_ms: number | null
}

type Results = Record<string, Outcome>

const SHARDS = ['shard-1', 'shard-2', 'shard-3']
const RECOVERY_MS = 60_000
/** What any version of PgBouncer can do in transaction pooling. */
const PGBOUNCER_KINDS: readonly LoadKind[] = ['simple', 'transfer', 'read', 'copy']

/**
 * Mixed work of many clients while servers are restarted, switched over, patched and killed: what of it the clients noticed.
 * The same restart through PgBouncer, paused for it as its manual says, is beside it.
 */
export async function continuity(bench: Bench, options: ContinuityOptions): Promise<Record<string, unknown>> {
  const bed = await ContinuityBed.start(
    { failover: { mode: 'local' }, log: { level: 'info' } },
    { replicas: 2, isDurable: true },
  )
  bench.cleanup.add(
    'the cluster',
    () => bed.close(),
    () => {},
  )
  await MixedLoad.prepare(bed.on('shard-1'))
  const switchyard: Results = {}
  const measure = async (name: string, event: () => Promise<void>): Promise<void> => {
    console.error(`${name} …`)
    try {
      switchyard[name] = await measured(bed, options, bed.router, event)
      console.error(JSON.stringify(switchyard[name]))
    } catch (error) {
      console.error(`${name} failed; the end of the router's log:\n${bed.router.tail(60)}`)
      throw error
    }
  }
  await measure('restart', async () => void (await bed.command(`RESTART ${await bed.primary()}`)))
  await measure('switchover', async () => void (await bed.command('SWITCHOVER main')))
  await measure('patch', async () => void (await bed.command('PATCH main')))
  await measure('failover_async', () => lose(bed))
  for (const name of SHARDS) {
    await bed.on(name)(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'`)
    await bed.on(name)('SELECT pg_reload_conf()')
  }
  await measure('failover_sync', () => lose(bed))
  const pgbouncer = options.isPgbouncerWanted ? await throughPgbouncer(bench, bed, options) : null
  print(switchyard, pgbouncer)
  return { switchyard, pgbouncer }
}

/** Kills the primary and waits until the group is whole again. */
async function lose(bed: ContinuityBed): Promise<void> {
  const lost = await bed.primary()
  process.kill(await bed.pid(lost), 'SIGKILL')
  await waitUntil('another primary', async () => (await bed.primary()) !== lost, { timeoutMs: RECOVERY_MS })
}

async function measured(
  bed: ContinuityBed,
  { clients, seconds, kinds }: ContinuityOptions & { readonly kinds?: readonly LoadKind[] },
  address: { readonly host: string; readonly port: number },
  event: () => Promise<void>,
): Promise<Outcome> {
  const load = MixedLoad.start(address, bed.login, { clients, ...(kinds === undefined ? {} : { kinds }) })
  await delay(seconds * 1000)
  load.forgetStalls()
  await event()
  await delay(seconds * 1000)
  const { errors, dropped, stallsMs } = await load.stop()
  const wholeAgain = async (): Promise<boolean> => (await bed.streaming(await bed.primary())).length === 2
  await waitUntil('both replicas to stream', wholeAgain, { timeoutMs: RECOVERY_MS })
  const { lost, doubled } = await load.audit(bed.on(await bed.primary()))
  const stalls = Float64Array.from(stallsMs).sort()
  return {
    errors: errors.length,
    errors_by_kind: countBy(errors.map(({ kind, sqlstate }) => `${kind} ${sqlstate}`)),
    dropped: dropped.length,
    lost_commits: lost,
    double_commits: doubled,
    stall_p50_ms: significant(percentile(stalls, 0.5)),
    stall_max_ms: significant(percentile(stalls, 1)),
  }
}

/** Null where PgBouncer is not installed. Other events than a restart need a program of the operator's around it. */
async function throughPgbouncer(bench: Bench, bed: ContinuityBed, options: ContinuityOptions): Promise<Results | null> {
  const primary = await bed.primary()
  const shard = bed.shards.find(({ name }) => name === primary)
  if (shard === undefined) return null
  const peer = await startPgbouncerBefore({ server: shard, login: bed.login, clients: options.clients, bench })
  if (peer === null) return null
  console.error('restart, through PgBouncer …')
  const kinds = PGBOUNCER_KINDS
  const restart = await measured(bed, { ...options, kinds }, peer.address, async () => {
    await peer.command('PAUSE')
    await bed.command(`RESTART ${primary}`)
    await peer.command('RESUME')
  })
  return { restart }
}

function print(switchyard: Results, pgbouncer: Results | null): void {
  const rows = Object.entries({ switchyard, ...(pgbouncer === null ? {} : { pgbouncer }) }).flatMap(([peer, results]) =>
    Object.entries(results).map(([event, outcome]) => [peer, event, ...Object.values(outcome).map(String)]),
  )
  const head = ['peer', 'event', 'errors', 'dropped', 'lost', 'double', 'stall p50 ms', 'stall max ms']
  console.log(formatTable(head, rows, { leftColumns: 2 }))
}

function countBy(names: readonly string[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1
  return counts
}
