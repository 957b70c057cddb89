import { loadRecord, SHARD_LOAD_F64, SHARD_STATE_F64, stateRecord } from '../../memory/shard-records.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import { WalHistory } from './wal-history.ts'
import type { WalPosition } from './wal-position.ts'

/** A shard whose position can be asked. */
export interface PositionSource {
  readonly id: number
  readonly group: string
  /** Null: no answer in time, or nobody to ask. */
  position(timeoutMs: number): Promise<WalPosition | null>
}

/** From one question to the next: while somebody waits for the answer, while a replica is far behind, and else. */
const BUSY_MS = 8
const BEHIND_MS = 50
const REST_MS = 200
/** A replica that has not caught up for so long is asked less often. */
const PATIENCE_MS = 500
const TIMEOUT_MS = 500
/** Answers in a row before a replica counts, the first time and after a failure. */
const PROOFS = 3

interface Replica {
  readonly source: PositionSource
  answers: number
}

/**
 * Asks primaries and replicas where their logs are, several times a second, and more often while there are writes that
 * replicas may not have; writes to shared memory how recent each replica is. Runs from `watch` to `close`.
 */
export class WalWatch {
  readonly #memory: SharedState
  readonly #now: () => number
  readonly #histories = new Map<string, WalHistory>()
  #sources: readonly PositionSource[] = []
  /** Makes loops of earlier calls of `watch` end. */
  #generation = 0
  readonly #running = new Set<Promise<void>>()
  readonly #pauses = new Set<() => void>()
  /** Those of `#pauses` that are long, with their groups. */
  readonly #rests = new Map<() => void, string>()

  constructor(memory: SharedState, now: () => number) {
    this.#memory = memory
    this.#now = now
  }

  /** From now on these are the shards; those of groups with one shard are left alone. */
  watch(sources: readonly PositionSource[]): void {
    const generation = ++this.#generation
    this.#sources = sources
    for (const wake of this.#pauses) wake()
    for (const source of sources) {
      if (!sources.some((other) => other !== source && other.group === source.group)) continue
      const run = this.#run(source, generation).finally(() => this.#running.delete(run))
      this.#running.add(run)
    }
  }

  /** Somebody has written in the group just now: whoever rests goes on at once. */
  wrote(group: string): void {
    for (const [wake, of] of this.#rests) if (of === group) wake()
  }

  /** Settles when nobody is asked any more. */
  async close(): Promise<void> {
    this.watch([])
    await Promise.all(this.#running)
  }

  async #run(source: PositionSource, generation: number): Promise<void> {
    const replica: Replica = { source, answers: 0 }
    while (generation === this.#generation) {
      const askedAt = this.#now()
      const position = await source.position(TIMEOUT_MS)
      if (generation !== this.#generation) return
      if (position === null) this.#lost(replica)
      else if (position.isInRecovery) this.#replicaAt(replica, askedAt, position)
      else this.#primaryAt(replica, askedAt, position)
      await this.#pause(position === null ? BEHIND_MS : this.#interval(source, position), source.group)
    }
  }

  #history(group: string): WalHistory {
    const known = this.#histories.get(group)
    if (known !== undefined) return known
    const made = new WalHistory()
    this.#histories.set(group, made)
    return made
  }

  #primaryAt(replica: Replica, askedAt: number, position: WalPosition): void {
    const { id, group } = replica.source
    replica.answers = 0
    this.#history(group).note(id, askedAt, position)
    this.#write(id, { freshAsOf: 0, freshAt: askedAt, lsn: position.lsn, timeline: position.timeline, lagBytes: 0 })
  }

  #replicaAt(replica: Replica, askedAt: number, position: WalPosition): void {
    const { id, group } = replica.source
    const history = this.#history(group)
    replica.answers++
    const asOf = history.asOf(position)
    const isProven = replica.answers >= PROOFS && asOf !== Number.NEGATIVE_INFINITY
    const lagBytes = Math.max(0, history.lsn - position.lsn)
    const freshAt = isProven ? askedAt : 0
    this.#write(id, {
      freshAsOf: isProven ? asOf : 0,
      freshAt,
      lsn: position.lsn,
      timeline: position.timeline,
      lagBytes,
    })
  }

  #lost(replica: Replica): void {
    replica.answers = 0
    this.#write(replica.source.id, { freshAsOf: 0, freshAt: 0 })
  }

  #write(shard: number, values: Partial<Record<keyof typeof SHARD_STATE_F64, number>>): void {
    const record = stateRecord(shard)
    if (record < 0) return
    const { shards } = this.#memory
    const f = record * (shards.recordBytes >> 3)
    for (const [name, value] of Object.entries(values)) {
      shards.f64[f + SHARD_STATE_F64[name as keyof typeof SHARD_STATE_F64]] = value
    }
  }

  /** How long to wait before the next question. */
  #interval(source: PositionSource, position: WalPosition): number {
    const wroteAt = this.#wroteAt(source.group)
    const history = this.#history(source.group)
    const covered = position.isInRecovery ? history.asOf(position) : history.lastAsOf
    if (wroteAt === 0 || covered >= wroteAt) return REST_MS
    return this.#now() - wroteAt < PATIENCE_MS ? BUSY_MS : BEHIND_MS
  }

  /** When planes wrote last to a shard of the group. */
  #wroteAt(group: string): number {
    const { shards, geometry } = this.#memory
    let last = 0
    for (const { id, group: of } of this.#sources) {
      if (of !== group) continue
      for (let plane = 0; plane < geometry.planes; plane++) {
        const record = loadRecord(plane, id)
        if (record < 0) continue
        last = Math.max(last, shards.f64[record * (shards.recordBytes >> 3) + SHARD_LOAD_F64.wroteAt] ?? 0)
      }
    }
    return last
  }

  async #pause(ms: number, group: string): Promise<void> {
    await new Promise<void>((resolve) => {
      const done = (): void => {
        clearTimeout(timer)
        this.#pauses.delete(done)
        this.#rests.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#pauses.add(done)
      if (ms === REST_MS) this.#rests.set(done, group)
    })
  }
}
