import type { CpuMeans, NiceOutcome } from '../io/cpu-share.ts'
import type { CpuWatch } from '../server/cpu-watch.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { LogFields, LogLevel } from '../server/server-host.ts'
import { Timer, type TimerWheel } from '../util/timer-wheel.ts'

/** What it needs to know, and whom it tells. */
export interface CpuSharesHost {
  readonly timers: TimerWheel
  readonly now: number
  /** The niceness of a tier; 0: it is as everybody. */
  niceOf(tier: number): number
  /** Whether its queries may have parallel workers. */
  hasWorkers(tier: number): boolean
  /** For how long what its client asks for has run, if that certainly does nothing but read, outside of a transaction; −1: it may do more. */
  readingMs(server: ServerConnection): number
  /** Somebody of a tier that is less nice waits for an answer of that shard for so long that it could be for a lock. */
  isAwaited(shard: number, nice: number): boolean
  /** What the backend was given last, by whatever process of this router; outlives this one. */
  nicenessOf(server: ServerConnection): number
  noteNiceness(server: ServerConnection, nice: number): void
  /** A backend that is held back has something to do: this plane may run ahead of it. */
  held(): void
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
/** How long a read has to run before it has less where the kernel rations changes. */
const RATIONED_LONG_MS = 50
/** Until then it gets most of its parallel workers; later ones, of another part of its plan say, are looked for so often. */
const WORKERS_MS = 100
const LATE_WORKERS_MS = 250

const ELSEWHERE: CpuMeans = { kind: 'none', reason: 'it is not on this machine' }

const HOW = {
  autogroup: 'have a smaller share of the CPU, by the niceness of their session (autogroup)',
  process: 'have a smaller share of the CPU, by their niceness',
  slice: 'let others in before them, and keep their share of the CPU',
} as const

/** Parallel workers of one that works for such a tier. */
interface Workers {
  /** Process ids of those that have less as well; null: none yet. */
  known: Set<number> | null
  /** When they were looked for, monotonic milliseconds. */
  lookedAt: number
}

/**
 * Gives backends less of the processors while they work for a tier that may take its time, where the server is on this machine: they
 * get what others leave, and let them in at once. One that may have locked what others wait for has its share back as long as anybody
 * might. It is given back for good when somebody of another tier gets the server connection, and not before: most go to the same tier again.
 *
 * Where the kernel rations changes it is only long reads, which nobody waits for, and it is given back at once.
 */
export class CpuShares implements CpuWatch {
  readonly #host: CpuSharesHost
  readonly #kernel: CpuKernel
  /** Those that work for such tiers; by server connection. */
  readonly #working = new Map<ServerConnection, Workers>()
  /** Whether a backend is seen to be one of a server on this machine. */
  readonly #isHere = new WeakMap<ServerConnection, boolean>()
  /** Process ids that have to be as everybody's again, which the kernel did not let them be yet. */
  readonly #owed = new Set<number>()
  readonly #timer: Timer = new Timer(() => this.#look())
  /** By shard id. */
  readonly #means = new Map<number, CpuMeans>()

  constructor(host: CpuSharesHost, kernel: CpuKernel) {
    this.#host = host
    this.#kernel = kernel
  }

  suits(server: ServerConnection, tier: number): boolean {
    if (this.#host.nicenessOf(server) === this.#host.niceOf(tier)) return true
    const means = this.#means.get(server.target.shard.id)
    return means === undefined || means.kind === 'none' || means.isRationed
  }

  given(server: ServerConnection, tier: number, isAdopted: boolean): void {
    const nice = this.#host.niceOf(tier)
    if (nice === 0) {
      if (this.#host.nicenessOf(server) !== 0) this.#set(server, 0)
      return
    }
    this.#working.set(server, { known: null, lookedAt: 0 })
    const isAsWanted = !isAdopted && this.#host.nicenessOf(server) === nice
    if (!isAsWanted && !isRationed(this.#meansOf(server))) this.#set(server, nice)
    if (this.#host.nicenessOf(server) !== 0) this.#host.held()
    this.#arm(LOOK_MS)
  }

  takenBack(server: ServerConnection): void {
    if (!this.#working.delete(server)) return
    if (this.#host.nicenessOf(server) !== 0 && isRationed(this.#meansOf(server))) this.#set(server, 0)
  }

  #arm(ms: number): void {
    const at = this.#host.now + ms
    if (!this.#timer.armed || this.#timer.deadline > at) this.#host.timers.arm(this.#timer, at)
  }

  #look(): void {
    for (const pid of this.#owed) this.#giveBack(pid)
    let isReading = false
    for (const [server, workers] of this.#working) {
      const ms = server.tier < 0 ? -1 : this.#host.readingMs(server)
      isReading ||= ms >= 0
      const before = this.#host.nicenessOf(server)
      const wanted = this.#wanted(server, ms)
      if (before !== wanted && this.#set(server, wanted)) workers.known = null
      const nice = this.#host.nicenessOf(server)
      if (nice === 0) continue
      this.#host.held()
      const isLate = this.#host.now - workers.lookedAt >= LATE_WORKERS_MS
      const isDue = ms >= 0 && (before !== nice || ms < WORKERS_MS || isLate)
      if (isDue && this.#host.hasWorkers(server.tier)) this.#setWorkers(server, nice, workers)
    }
    if (isReading) this.#arm(LOOK_MS)
    else if (this.#working.size > 0 || this.#owed.size > 0) this.#arm(IDLE_LOOK_MS)
  }

  /** What one is to have that has read for `ms`, or that may do more, −1. */
  #wanted(server: ServerConnection, ms: number): number {
    const nice = server.tier < 0 ? 0 : this.#host.niceOf(server.tier)
    if (isRationed(this.#meansOf(server))) return ms >= RATIONED_LONG_MS ? nice : 0
    return ms < 0 && this.#host.isAwaited(server.target.shard.id, nice) ? 0 : nice
  }

  /** False: not now, or not at all. */
  #set(server: ServerConnection, nice: number): boolean {
    const means = this.#meansOf(server)
    if (means.kind === 'none') return false
    const pid = server.identity.backendPid
    // Before it is so and until it is not any more: whoever goes on with it must not think that it has its share.
    if (nice !== 0) this.#host.noteNiceness(server, nice)
    const outcome = this.#kernel.setNice(means, pid, nice)
    if (outcome === 'done') this.#owed.delete(pid)
    if (nice === 0 || outcome !== 'done') this.#host.noteNiceness(server, 0)
    if (outcome === 'later' && nice === 0) {
      this.#owed.add(pid)
      this.#arm(IDLE_LOOK_MS)
    }
    if (outcome === 'refused') this.#giveUp(server, 'the kernel refused it')
    return outcome === 'done'
  }

  /** They come one by one, and end with their query, so that nothing has to be given back to them. */
  #setWorkers(server: ServerConnection, nice: number, workers: Workers): void {
    const means = this.#means.get(server.target.shard.id)
    if (means === undefined) return
    workers.lookedAt = this.#host.now
    for (const worker of this.#kernel.workersOf(server.identity.backendPid)) {
      if (workers.known?.has(worker) === true || this.#kernel.setNice(means, worker, nice) !== 'done') continue
      workers.known ??= new Set()
      workers.known.add(worker)
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

  #meansOf(server: ServerConnection): CpuMeans {
    const isHere = this.#isHere.get(server) ?? this.#lookFor(server)
    return isHere ? (this.#means.get(server.target.shard.id) ?? this.#meansFor(server)) : ELSEWHERE
  }

  /** Its process id may be that of another process of this machine, if the server is not here. */
  #lookFor(server: ServerConnection): boolean {
    const { dataDirectory } = server.target.shard
    const isHere = dataDirectory !== null && this.#kernel.worksIn(server.identity.backendPid, dataDirectory)
    this.#isHere.set(server, isHere)
    return isHere
  }

  /** Found out with the first backend of each shard. */
  #meansFor({ target, identity }: ServerConnection): CpuMeans {
    const { id, name } = target.shard
    const means = this.#kernel.means(identity.backendPid)
    this.#means.set(id, means)
    if (means.kind === 'none') {
      this.#host.log('info', `backends of low tiers on ${name} keep their share of the CPU: ${means.reason}`, {
        shard: name,
      })
    } else {
      const whose = means.isRationed ? 'long reads' : 'backends'
      this.#host.log('info', `${whose} of low tiers on ${name} ${HOW[means.kind]}`, { shard: name })
    }
    return means
  }

  #giveUp({ target }: ServerConnection, reason: string): void {
    const { id, name } = target.shard
    this.#means.set(id, { kind: 'none', reason })
    this.#host.log('warn', `backends of low tiers on ${name} keep their share of the CPU from now on: ${reason}`, {
      shard: name,
    })
  }
}

function isRationed(means: CpuMeans): boolean {
  return means.kind !== 'none' && means.isRationed
}
