import { isLocalHost } from '../../config/network-address.ts'
import { readPool } from '../../memory/pool-records.ts'
import { readServer, SERVER, SERVER_F32, SERVER_F64, type ServerView } from '../../memory/server-slots.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { Shard } from '../../shard/topology.ts'
import type { ShardQuestion } from '../monitor/shard-probe.ts'
import { readStatistics, STATISTICS_SINCE, statisticsQuestion } from './backend-statistics.ts'
import { type ProcessUsage, readProcessUsage } from './process-usage.ts'

const TIMEOUT_MS = 1_000
/** Looked at in one round; the others are in the next. */
const MOST_AT_ONCE = 256
const SERVING = new Set(['active', 'idle'])

/** What the watch looks at: shared memory, shards, and the processes of this machine. */
export interface BackendWatchOptions {
  readonly memory: SharedState
  readonly shards: () => readonly Shard[]
  /** Asks a shard; null: no answer. */
  readonly ask: <Row extends object>(
    shard: number,
    question: ShardQuestion,
    timeoutMs: number,
  ) => Promise<readonly Row[] | null>
  /** Monotonic milliseconds. */
  readonly now: () => number
  /** Where processes are: `/proc`, but for tests. */
  readonly proc?: string
}

interface Sample {
  readonly usage: ProcessUsage
  readonly at: number
  /** Whose it is, and how much it had done: another one's, or no more since then, says nothing. */
  readonly generation: number
  readonly pid: number
  readonly queries: number
}

/** A server connection that serves clients, and whose process it is. */
interface Backend {
  readonly server: ServerView
  readonly generation: number
  readonly shard: Shard
  readonly user: string
  readonly database: string
}

/**
 * Measures what the server processes behind busy server connections use, and writes it to their slots: CPU, memory and I/O
 * from `/proc` where the process is on this machine and may be looked at, I/O from PostgreSQL 18's statistics elsewhere.
 */
export class BackendWatch {
  readonly #options: BackendWatchOptions
  readonly #samples = new Map<number, Sample>()
  #next = 0

  constructor(options: BackendWatchOptions) {
    this.#options = options
  }

  /** One round. Settles when what was found is written. */
  async look(): Promise<void> {
    const remote: Backend[] = []
    for (const backend of this.#busy()) {
      const { shard, server, user, database } = backend
      const isLocal = isLocalHost(shard.address ?? shard.host)
      const usage = isLocal
        ? readProcessUsage(server.backendPid, { user, database }, this.#options.proc ?? '/proc')
        : null
      if (usage !== null && !Number.isNaN(usage.readBytes)) this.#note(backend, usage)
      else if (Number.parseInt(server.serverVersion, 10) >= STATISTICS_SINCE) remote.push(backend)
      else if (usage !== null) this.#note(backend, usage)
    }
    const shards = new Set(remote.map(({ shard }) => shard.id))
    await Promise.all([...shards].map((id) => this.#ask(remote.filter(({ shard }) => shard.id === id))))
  }

  async #ask(backends: readonly Backend[]): Promise<void> {
    const shard = backends[0]?.shard.id as number
    const question = statisticsQuestion(backends.map(({ server }) => server.backendPid))
    const rows = await this.#options.ask<Parameters<typeof readStatistics>[0][number]>(shard, question, TIMEOUT_MS)
    const found = readStatistics(rows ?? [])
    for (const backend of backends) {
      const usage = found.get(backend.server.backendPid)
      if (usage !== undefined) this.#note(backend, usage)
    }
  }

  /** Server connections that have done something since the last look, or do now. */
  *#busy(): Generator<Backend> {
    const { servers, pools } = this.#options.memory
    const shards = new Map(this.#options.shards().map((shard) => [shard.id, shard]))
    let found = 0
    for (let step = 0; step < servers.count && found < MOST_AT_ONCE; step++) {
      const slot = (this.#next + step) % servers.count
      const server = readServer(servers, slot)
      if (server === null || !SERVING.has(server.state) || server.backendPid === 0) {
        this.#samples.delete(slot)
        continue
      }
      const last = this.#samples.get(slot)
      if (server.state === 'idle' && last?.queries === server.queries) continue
      const pool = readPool(pools, server.pool)
      const shard = pool === null ? undefined : shards.get(pool.shardId)
      if (pool === null || shard === undefined) continue
      found++
      const generation = servers.i32[slot * (servers.recordBytes >> 2) + SERVER.generation] as number
      yield { server, generation, shard, user: pool.serverUser, database: pool.serverDatabase }
      if (found === MOST_AT_ONCE) this.#next = slot + 1
    }
  }

  #note({ server, generation }: Backend, usage: ProcessUsage): void {
    const { memory, now } = this.#options
    const at = now()
    const { slot, backendPid: pid, queries } = server
    const last = this.#samples.get(slot)
    this.#samples.set(slot, { usage, at, generation, pid, queries })
    if (last === undefined || last.generation !== generation || last.pid !== pid || at <= last.at) return
    const seconds = (at - last.at) / 1000
    const i = slot * (memory.servers.recordBytes >> 2)
    const { f32, f64 } = memory.servers
    f32[i + SERVER_F32.cpu] = (usage.cpuMs - last.usage.cpuMs) / 1000 / seconds
    f32[i + SERVER_F32.memory] = usage.memory
    f32[i + SERVER_F32.read] = (usage.readBytes - last.usage.readBytes) / 1024 / seconds
    f32[i + SERVER_F32.write] = (usage.writtenBytes - last.usage.writtenBytes) / 1024 / seconds
    f64[(i >> 1) + SERVER_F64.usageAt] = at
  }
}
