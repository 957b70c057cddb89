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

/** How often those that work for low tiers are looked at, and how long a read has to run before it has less. */
const LOOK_MS = 50
/** It may have less, from another process that is gone. */
const UNKNOWN = -1

/**
 * Gives backends less of the processors while they read for a tier that may take its time, where the server is on this machine: such a
 * read gets what others leave. Only what certainly reads, outside of a transaction, and has run for a while: others could wait for a lock
 * of what writes. Parallel workers that it has by then have less as well.
 */
export class CpuShares implements CpuWatch {
  readonly #host: CpuSharesHost
  readonly #kernel: CpuKernel
  /** The niceness of those that work for such tiers; by server connection. */
  readonly #working = new Map<ServerConnection, number>()
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
    this.#working.set(server, isAdopted ? UNKNOWN : 0)
    this.#arm()
  }

  takenBack(server: ServerConnection): void {
    const nice = this.#working.get(server)
    if (nice === undefined) return
    this.#working.delete(server)
    if (nice !== 0) this.#set(server, 0)
  }

  #arm(): void {
    if (!this.#timer.armed) this.#host.timers.arm(this.#timer, this.#host.now + LOOK_MS)
  }

  #look(): void {
    for (const pid of this.#owed) this.#giveBack(pid)
    for (const [server, nice] of this.#working) {
      const isLong = server.tier >= 0 && this.#host.readingMs(server) >= LOOK_MS
      const wanted = isLong ? this.#host.niceOf(server.tier) : 0
      if (nice !== wanted && this.#set(server, wanted)) this.#working.set(server, wanted)
    }
    if (this.#working.size > 0 || this.#owed.size > 0) this.#arm()
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
    // They end with their query, so that nothing has to be given back to them.
    if (outcome === 'done' && nice > 0)
      for (const worker of this.#kernel.workersOf(pid)) this.#kernel.setNice(means, worker, nice)
    if (outcome === 'later' && nice === 0) {
      this.#owed.add(pid)
      this.#arm()
    }
    if (outcome === 'refused') this.#giveUp(server, 'the kernel refused it')
    return outcome === 'done'
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
      const how = means.kind === 'autogroup' ? 'by the niceness of their session (autogroup)' : 'by their niceness'
      this.#host.log('info', `long reads of low tiers on ${name} have a smaller share of the CPU, ${how}`, {
        shard: name,
      })
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
