import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { seededRandom } from '../../src/util/seeded-random.ts'
import { CertificateAuthority, writeCredentials } from '../support/certificates.ts'
import { ContinuityBed } from '../support/continuity-bed.ts'
import { type Audit, type LoadKind, type LoadTrouble, MixedLoad, ORDINARY_KINDS } from '../support/mixed-load.ts'
import { PLANNED, type ShardFault, storm, whole } from './shard-faults.ts'

/** Everything at once: what each client of the load does. */
const KINDS: readonly LoadKind[] = [
  ...ORDINARY_KINDS,
  'ownWrites',
  'listen',
  'temporary',
  'lock',
  'sequence',
  'sqlPrepare',
  'lock',
  'ownWrites',
]
/** Their sessions have state that dies with a server that dies. */
const TIED: ReadonlySet<LoadKind> = new Set(['temporary', 'lock', 'sequence', 'sqlPrepare'])
/** The same, where nothing is lost that can be had again. */
const TIED_FOR_GOOD: ReadonlySet<LoadKind> = new Set(['temporary', 'lock'])
/** What currval says in a session that was moved. */
const NOT_YET_DEFINED = '55000'
/** What a client may be told when a server dies under it: never that something is done, or not done, that is not. */
const HONEST = /^(08006|08007|25P02|40001|57P0[123])$/

/** For one answer: requests wait for a shard for so long. */
const LONGEST_WAIT_MS = 60_000

export interface StormOptions {
  readonly seed: number
  readonly durationMs: number
  readonly clients: number
  readonly onFault?: (fault: ShardFault) => void
  /** Gets what the router has logged, in the end. */
  readonly onLog?: (log: string) => void
}

export interface StormReport {
  readonly faults: ReadonlyMap<ShardFault, number>
  readonly operations: number
  readonly audit: Audit
  /** Errors and ends of connections that a client may be told of at such a time. */
  readonly allowed: readonly string[]
  /** What must not be, each with the fault during which it was; empty: all is well. */
  readonly violations: readonly string[]
}

/**
 * Harms a group of three shards while clients of all kinds work through a router that manages it: every other one over TLS, reads
 * on replicas, commits confirmed by one replica. Then compares the database with what the clients were told.
 */
export async function runStorm(options: StormOptions): Promise<StormReport> {
  const directory = mkdtempSync(join(tmpdir(), 'switchyard-storm-'))
  try {
    return await runIn(directory, options)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function runIn(directory: string, options: StormOptions): Promise<StormReport> {
  const credentials = new CertificateAuthority('Switchyard storm').issue({
    commonName: 'localhost',
    names: ['localhost'],
  })
  const bed = await ContinuityBed.start(
    {
      failover: { mode: 'local' },
      operations: { drain: '3s' },
      timeouts: { server_connect: '500ms', query_wait: `${LONGEST_WAIT_MS}ms` },
      routing: { reads: 'replicas' },
      tiers: { medium: { pools: ['replicas'] } },
      client_tls: { mode: 'allow', ...writeCredentials(directory, 'router', credentials) },
    },
    { replicas: 2, isDurable: false, hasProxies: true },
  )
  try {
    return await weather(bed, options)
  } catch (error) {
    process.stderr.write(`${bed.router.tail(100)}\n${await stateOf(bed)}\n`)
    throw error
  } finally {
    options.onLog?.(bed.router.log.join('\n'))
    await bed.close()
  }
}

async function weather(bed: ContinuityBed, options: StormOptions): Promise<StormReport> {
  await MixedLoad.prepare(bed.on('shard-1'))
  for (const { name } of bed.shards) {
    await bed.on(name)(`ALTER SYSTEM SET synchronous_standby_names = 'ANY 1 (*)'`)
    await bed.on(name)('SELECT pg_reload_conf()')
  }
  const load = MixedLoad.start(bed.router, bed.login, { clients: options.clients, tls: true, kinds: KINDS })
  const until = performance.now() + options.durationMs
  let now: ShardFault | null = null
  let seen = 0
  const allowed: string[] = []
  const violations: string[] = []
  const judge = (): void => {
    for (const trouble of load.failures.slice(seen)) {
      const text = `${now}: ${trouble.kind}: ${trouble.sqlstate ?? 'ended'} ${trouble.text}`
      if (mayBe(trouble, now)) allowed.push(text)
      else violations.push(text)
    }
    seen = load.failures.length
  }
  const faults = await storm(
    bed,
    seededRandom(options.seed),
    () => performance.now() > until,
    async (fault) => {
      // What a fault does to a client may show a little later, when all others are whole again.
      await load.goneOn(LONGEST_WAIT_MS)
      judge()
      now = fault
      options.onFault?.(fault)
    },
  )
  judge()
  now = null
  const before = load.operations
  while (load.operations < before + 200) await new Promise((resolve) => setTimeout(resolve, 20))
  const { operations, wrong } = await load.stop()
  judge()
  await whole(bed)
  const audit = await load.audit(bed.on(await bed.primary()))
  return {
    faults,
    operations,
    audit,
    allowed,
    violations: [...violations, ...wrong.map((text) => `wrong answer: ${text}`)],
  }
}

/** What servers say of themselves, for whoever has to find out what went wrong. */
async function stateOf(bed: ContinuityBed): Promise<string> {
  const lines = bed.shards.map(async ({ name }) => {
    try {
      const [state] = await bed.on(name)(`SELECT pg_is_in_recovery() AS replica, pg_last_wal_receive_lsn() AS received,
        pg_last_wal_replay_lsn() AS replayed, CASE WHEN pg_is_in_recovery() THEN pg_get_wal_replay_pause_state() END AS replay,
        current_setting('primary_conninfo') AS follows`)
      const activity = await bed.on(
        name,
      )(`SELECT backend_type, state, wait_event, left(query, 60) AS query, count(*)::int AS n
        FROM pg_stat_activity WHERE state IS DISTINCT FROM 'idle' AND pid <> pg_backend_pid() GROUP BY 1, 2, 3, 4`)
      return JSON.stringify({ name, ...state, activity })
    } catch (error) {
      return `${name}: ${String(error)}`
    }
  })
  return (await Promise.all(lines)).join('\n')
}

/** Whether this may happen to a client, during a fault or in quiet times. */
function mayBe({ kind, sqlstate }: LoadTrouble, fault: ShardFault | null): boolean {
  if (fault === null) return false
  const isPlanned = PLANNED.has(fault)
  if (sqlstate === null) return (isPlanned ? TIED_FOR_GOOD : TIED).has(kind)
  if (kind === 'sequence' && sqlstate === NOT_YET_DEFINED) return true
  return HONEST.test(sqlstate) && !isPlanned
}
