import type { CpuMeans, NiceOutcome } from '../io/cpu-share.ts'
import type { CpuWatch } from '../server/cpu-watch.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

/** What it needs to know, and whom it tells. */
export interface CpuSharesHost {
  readonly timers: TimerWheel
  readonly now: number
  /** The niceness of reads of a tier; 0: they are as everybody's. */
  niceOf(tier: number): number
  /** For how long what its client asks for has run, if that certainly does nothing but read, outside of a transaction; −1: it may do more. */
  readingMs(server: ServerConnection): number
  log(level: LogLevel, message: string, fields: LogFields): void
}

/** What the kernel can do: see `io/cpu-share.ts`. */
export interface CpuKernel {
  means(pid: number): CpuMeans
  worksIn(pid: number, directory: string): boolean
  setNice(means: CpuMeans, pid: number, nice: number): NiceOutcome
  /** Process ids of the parallel workers of a backend. */
  workersOf(pid: number): readonly number[]
}

/** How often those that work for low tiers are looked at while they read, which is a tick of the timers. */
const LOOK_MS = 16
/** How often while they do something else, or nothing. */
const IDLE_LOOK_MS = 48
/** How long a read has to run before it has less; where the kernel rations changes. */
const LONG_MS = 10
const RATIONED_LONG_MS = 50
/** Until then it gets most of its parallel workers; later ones, of another part of its plan say, are looked for so often. */
const WORKERS_MS = 100
const LATE_WORKERS_MS = 250
/** It may have less, from another process that is gone. */
const UNKNOWN = -1

const HOW = {
  autogroup: 'have a smaller share of the CPU, by the niceness of their session (autogroup)',
  process: 'have a smaller share of the CPU, by their niceness',
  slice: 'let others in before them, and keep their share of the CPU',
} as const

/** One that works for such a tier. */
interface Share {
  /** What it has now. */
  nice: number
  /** Process ids of its parallel workers that have less as well; null: none yet. */
  workers: Set<number> | null
  /** When they were looked for, monotonic milliseconds. */
  workersAt: number
}

/**
 * Gives backends less of the processors while they read for a tier that may take its time, where the server is on this machine: such a
 * read gets what others leave, and lets them in at once. Only what certainly reads, outside of a transaction, and has run for a while:
 * others could wait for a lock of what writes. Its parallel workers have less as well.
 */
export class CpuShares implements CpuWatch {
  readonly #host: CpuSharesHost
  readonly #kernel: CpuKernel
  /** Those that work for such tiers; by server connection. */
  readonly #working = new Map<ServerConnection, Share>()
  /** Process ids that have to be as everybody's again, which the kernel did not let them be yet. */
  readonly #owed = new Set<number>()
  readonly #timer: Timer = new Timer(() => this.#look())
  /** By shard id. */
  readonly #means = new Map<number, CpuMeans>()

  constructor(host: CpuSharesHost, kernel: CpuKernel) {
    this.#host = host
    this.#kernel = kernel
  }

  given(server: ServerConnection, tier: number, isAdopted: boolean): void {
    if (this.#host.niceOf(tier) === 0) return
    this.#working.set(server, { nice: isAdopted ? UNKNOWN : 0, workers: null, workersAt: 0 })
    this.#arm(LOOK_MS)
  }

  takenBack(server: ServerConnection): void {
    const share = this.#working.get(server)
    if (share === undefined) return
    this.#working.delete(server)
    if (share.nice !== 0) this.#set(server, 0)
  }

  #arm(ms: number): void {
    const at = this.#host.now + ms
    if (!this.#timer.armed || this.#timer.deadline > at) this.#host.timers.arm(this.#timer, at)
  }

  #look(): void {
    for (const pid of this.#owed) this.#giveBack(pid)
    let isReading = false
    for (const [server, share] of this.#working) {
      const ms = server.tier < 0 ? -1 : this.#host.readingMs(server)
      isReading ||= ms >= 0
      const wanted = ms >= this.#longMs(server) ? this.#host.niceOf(server.tier) : 0
      const isNew = share.nice !== wanted && this.#set(server, wanted)
      if (isNew) {
        share.nice = wanted
        share.workers = null
      }
      const isLate = this.#host.now - share.workersAt >= LATE_WORKERS_MS
      if (share.nice > 0 && (isNew || ms < WORKERS_MS || isLate)) this.#setWorkers(server, share)
    }
    if (isReading) this.#arm(LOOK_MS)
    else if (this.#working.size > 0 || this.#owed.size > 0) this.#arm(IDLE_LOOK_MS)
  }

  /** How long a read has to run there. */
  #longMs(server: ServerConnection): number {
    const means = this.#means.get(server.target.shard.id)
    return means !== undefined && means.kind !== 'none' && means.isRationed ? RATIONED_LONG_MS : LONG_MS
  }

  /** False: not now, or not at all. */
  #set(server: ServerConnection, nice: number): boolean {
    const pid = server.identity.backendPid
    const { id, dataDirectory } = server.target.shard
    // Its number may be that of another process of this machine, if the server is not here.
    if (nice !== 0 && (dataDirectory === null || !this.#kernel.worksIn(pid, dataDirectory))) return false
    const means = this.#means.get(id) ?? this.#meansFor(server)
    if (means.kind === 'none') return false
    const outcome = this.#kernel.setNice(means, pid, nice)
    if (outcome === 'done') this.#owed.delete(pid)
    if (outcome === 'later' && nice === 0) {
      this.#owed.add(pid)
      this.#arm(IDLE_LOOK_MS)
    }
    if (outcome === 'refused') this.#giveUp(server, 'the kernel refused it')
    return outcome === 'done'
  }

  /** They come one by one, and end with their query, so that nothing has to be given back to them. */
  #setWorkers(server: ServerConnection, share: Share): void {
    const means = this.#means.get(server.target.shard.id)
    if (means === undefined) return
    share.workersAt = this.#host.now
    for (const worker of this.#kernel.workersOf(server.identity.backendPid)) {
      if (share.workers?.has(worker) === true || this.#kernel.setNice(means, worker, share.nice) !== 'done') continue
      share.workers ??= new Set()
      share.workers.add(worker)
    }
  }

  #giveBack(pid: number): void {
    for (const means of this.#means.values()) {
      if (means.kind === 'none') continue
      if (this.#kernel.setNice(means, pid, 0) !== 'later') this.#owed.delete(pid)
      return
    }
    this.#owed.delete(pid)
  }

  /** Found out with the first backend of each shard. */
  #meansFor({ target, identity }: ServerConnection): CpuMeans {
    const { id, name } = target.shard
    const means = this.#kernel.means(identity.backendPid)
    this.#means.set(id, means)
    if (means.kind === 'none') {
      this.#host.log('info', `reads of low tiers on ${name} keep their share of the CPU: ${means.reason}`, {
        shard: name,
      })
    } else {
      this.#host.log('info', `long reads of low tiers on ${name} ${HOW[means.kind]}`, { shard: name })
    }
    return means
  }

  #giveUp({ target }: ServerConnection, reason: string): void {
    const { id, name } = target.shard
    this.#means.set(id, { kind: 'none', reason })
    this.#host.log('warn', `reads of low tiers on ${name} keep their share of the CPU from now on: ${reason}`, {
      shard: name,
    })
  }
}
