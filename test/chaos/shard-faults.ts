import type { ContinuityBed } from '../support/continuity-bed.ts'
import type { Fault } from '../support/fault-proxy.ts'
import { waitUntil } from '../support/wait-until.ts'

/** What happens to the shards of a group, and how often out of a hundred times. */
const FAULTS = {
  killPrimary: 8,
  killReplica: 6,
  killBackend: 8,
  terminateBackends: 10,
  freezeBackends: 10,
  freezePostmaster: 4,
  freezeServer: 6,
  cutNetwork: 14,
  slowNetwork: 6,
  lagReplica: 8,
  promoteRace: 4,
  restart: 7,
  switchover: 7,
  patch: 2,
} as const
export type ShardFault = keyof typeof FAULTS
export const SHARD_FAULTS = Object.keys(FAULTS) as readonly ShardFault[]

/** Faults after which what was under way may have been lost; the others may cost no more than time. */
export const PLANNED: ReadonlySet<ShardFault> = new Set(['restart', 'switchover', 'patch', 'lagReplica', 'slowNetwork'])

/** A group is whole again in this time, whatever happened to it, on a machine that has other things to do. */
const RECOVERY = { timeoutMs: 90_000 }
const SHORTEST_MS = 50
const LONGEST_MS = 1_500
const DELAY_MS = 20
const THROTTLED_BYTES_PER_SECOND = 200_000

/** One of them; `random` gives numbers from 0 to below 1. */
export function pickFault(random: () => number): ShardFault {
  let left = random() * Object.values(FAULTS).reduce((sum, share) => sum + share, 0)
  for (const [fault, share] of Object.entries(FAULTS)) {
    left -= share
    if (left < 0) return fault as ShardFault
  }
  return 'killPrimary'
}

/** A group with proxies before its shards, and what its faults are drawn from. */
class Harm {
  readonly bed: ContinuityBed
  readonly random: () => number

  constructor(bed: ContinuityBed, random: () => number) {
    this.bed = bed
    this.random = random
  }

  duration(): number {
    return SHORTEST_MS + this.random() * (LONGEST_MS - SHORTEST_MS)
  }

  async pause(ms = this.duration()): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms))
  }

  pick<T>(all: readonly T[]): T {
    return all[Math.floor(this.random() * all.length)] as T
  }

  async replicas(): Promise<readonly string[]> {
    const primary = await this.bed.primary()
    return this.bed.shards.map(({ name }) => name).filter((name) => name !== primary)
  }

  /** Process ids of backends that serve clients of the router on the primary. */
  async backends(): Promise<readonly number[]> {
    const rows = await this.bed.on(await this.bed.primary())(
      `SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid() ORDER BY pid`,
    )
    return rows.map(({ pid }) => Number(pid))
  }

  signal(pids: readonly number[], signal: NodeJS.Signals): void {
    for (const pid of pids) {
      try {
        process.kill(pid, signal)
      } catch {
        // It is gone already.
      }
    }
  }

  /** Stops these processes for a while. */
  async freeze(pids: readonly number[]): Promise<void> {
    this.signal(pids, 'SIGSTOP')
    await this.pause()
    this.signal(pids, 'SIGCONT')
  }

  async during(fault: Fault, shard: string): Promise<void> {
    const proxy = this.bed.proxy(shard)
    await proxy.inject(fault)
    await this.pause()
    await proxy.heal()
  }
}

const HAPPEN: Readonly<Record<ShardFault, (harm: Harm) => Promise<void>>> = {
  async killPrimary(harm) {
    const lost = await harm.bed.primary()
    harm.signal([await harm.bed.pid(lost)], 'SIGKILL')
    await waitUntil('another primary', async () => (await harm.bed.primary()) !== lost, RECOVERY)
  },
  async killReplica(harm) {
    const shard = harm.pick(await harm.replicas())
    harm.signal([await harm.bed.pid(shard)], 'SIGKILL')
    await harm.pause()
    await harm.bed.driver.start(shard)
  },
  // All other backends end with it, and the server recovers.
  async killBackend(harm) {
    harm.signal([harm.pick(await harm.backends())], 'SIGKILL')
  },
  async terminateBackends(harm) {
    const victims = (await harm.backends()).filter(() => harm.random() < 0.3)
    await harm.bed.on(await harm.bed.primary())(
      `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid IN (0${victims.map((pid) => `,${pid}`).join('')})`,
    )
  },
  async freezeBackends(harm) {
    await harm.freeze((await harm.backends()).filter(() => harm.random() < 0.5))
  },
  async freezePostmaster(harm) {
    await harm.freeze([await harm.bed.pid(await harm.bed.primary())])
  },
  async freezeServer(harm) {
    await harm.freeze(await harm.bed.processes(await harm.bed.primary()))
  },
  async cutNetwork(harm) {
    const shard = harm.pick(harm.bed.shards).name
    const kind = harm.pick(['reset', 'black-hole', 'half-open', 'refuse'] as const)
    await harm.during({ kind }, shard)
  },
  async slowNetwork(harm) {
    const faults = [
      { kind: 'delay', ms: DELAY_MS },
      { kind: 'throttle', bytesPerSecond: THROTTLED_BYTES_PER_SECOND },
    ] as const
    await harm.during(harm.pick(faults), harm.pick(harm.bed.shards).name)
  },
  async lagReplica(harm) {
    const sql = harm.bed.on(harm.pick(await harm.replicas()))
    await sql('SELECT pg_wal_replay_pause()')
    await harm.pause()
    await sql('SELECT pg_wal_replay_resume()')
  },
  // Somebody else promotes the replica that has the most log, at the moment at which the primary dies.
  async promoteRace(harm) {
    const lost = await harm.bed.primary()
    harm.signal([await harm.bed.pid(lost)], 'SIGKILL')
    const received = await Promise.all(
      (await harm.bed.shards).map(async ({ name }) => {
        if (name === lost) return { name, at: -1n }
        const [row] = await harm.bed.on(name)(`SELECT (pg_last_wal_receive_lsn() - '0/0')::text AS at`)
        return { name, at: BigInt(String(row?.at ?? -1)) }
      }),
    )
    const best = received.reduce((one, other) => (other.at > one.at ? other : one))
    await harm.bed.on(best.name)('SELECT pg_promote(false) WHERE pg_is_in_recovery()')
    await waitUntil('another primary', async () => (await harm.bed.primary()) !== lost, RECOVERY)
  },
  async restart(harm) {
    await harm.bed.command(`RESTART ${harm.pick(harm.bed.shards).name}`)
  },
  async switchover(harm) {
    await harm.bed.command(`SWITCHOVER main TO ${harm.pick(await harm.replicas())}`)
  },
  async patch(harm) {
    await harm.bed.command('PATCH main')
  },
}

/** One primary that is up, all others stream from it and are used, and no operation is at work. */
export async function whole(bed: ContinuityBed): Promise<void> {
  await waitUntil(
    'the group to be whole',
    async () => {
      const shown = await bed.shown()
      if (!shown.every(({ up }) => up)) return false
      const primary = await bed.primary()
      if ((await bed.streaming(primary)).length !== bed.shards.length - 1) return false
      const { rows } = await bed.console.query('SHOW OPERATIONS')
      return rows.every(({ state }) => state !== 'running')
    },
    { ...RECOVERY, everyMs: 50 },
  )
}

/** Has one of the faults happen, and waits until the group is whole again. */
export async function harm(bed: ContinuityBed, fault: ShardFault, random: () => number): Promise<void> {
  await HAPPEN[fault](new Harm(bed, random))
  await whole(bed)
}

/**
 * Harms a group at random moments, in random ways, until `isOver`. One thing at a time: it is whole again before the next.
 * Returns how often each happened.
 */
export async function storm(
  bed: ContinuityBed,
  random: () => number,
  isOver: () => boolean,
  onFault: (fault: ShardFault) => Promise<void> | void = () => {},
): Promise<ReadonlyMap<ShardFault, number>> {
  const counts = new Map<ShardFault, number>()
  const pauses = new Harm(bed, random)
  while (!isOver()) {
    const fault = pickFault(random)
    await pauses.pause()
    await onFault(fault)
    await harm(bed, fault, random)
    counts.set(fault, (counts.get(fault) ?? 0) + 1)
  }
  return counts
}
