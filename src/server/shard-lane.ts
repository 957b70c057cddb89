import type { PoolAdmission } from './pool-admission.ts'
import type { PoolWaiter } from './pool-waiter.ts'

/** A pool, as the lane of its shard sees it. */
export interface LanePool {
  /** Somebody waits, and a server connection is free. */
  readonly canServe: boolean
  /** Whose turn is first of those who wait here, and `turn` is then when; smaller is sooner. */
  firstInLine(): PoolWaiter | null
  readonly turn: number
  /** Gives the first in line a server connection; false: nobody can get one. */
  serveFirst(): boolean
  /** It opened fewer server connections than clients wait, because the shard had no slots for more. */
  readonly wasHeldBack: boolean
  reconsider(): void
  /** Who came last of this tier. */
  newest(tier: number): PoolWaiter | null
  leave(waiter: PoolWaiter): void
}

/** The pools of one shard, which share its slots: whose turn it is when a slot or a server connection is free. */
export class ShardLane {
  readonly admission: PoolAdmission
  readonly #pools = new Set<LanePool>()
  #waiting = 0
  #isServing = false

  constructor(admission: PoolAdmission) {
    this.admission = admission
  }

  get pools(): ReadonlySet<LanePool> {
    return this.#pools
  }

  add(pool: LanePool): void {
    this.#pools.add(pool)
  }

  remove(pool: LanePool): void {
    this.#pools.delete(pool)
  }

  /** One more (1) or one less (-1) waits. */
  count(change: number): void {
    this.#waiting += change
  }

  /** A slot or a server connection of `of` is free: everybody goes on who can now. */
  serve(of: LanePool): void {
    if (this.#waiting === 0 || this.#isServing) return
    this.#isServing = true
    try {
      while (this.#serveOne()) if (this.#waiting === 0) return
    } finally {
      this.#isServing = false
    }
    for (const pool of this.#pools) if (pool !== of && pool.wasHeldBack) pool.reconsider()
  }

  /** Too many wait: the newest of the tier that goes first is told so. */
  shed(): void {
    const tier = this.admission.victim()
    if (tier < 0) return
    let newest = null
    for (const pool of this.#pools) {
      const last = pool.newest(tier)
      if (last !== null && (newest === null || last.waitingSince >= newest.waiter.waitingSince)) {
        newest = { pool, waiter: last }
      }
    }
    if (newest === null) return
    newest.pool.leave(newest.waiter)
    this.admission.refused(tier)
    newest.waiter.onPoolFailed(this.admission.shedding(tier))
  }

  #serveOne(): boolean {
    let next: LanePool | null = null
    let first = Number.POSITIVE_INFINITY
    let since = 0
    for (const pool of this.#pools) {
      if (!pool.canServe) continue
      const waiter = pool.firstInLine()
      const turn = pool.turn
      if (waiter === null || turn > first || (turn === first && waiter.waitingSince >= since)) continue
      next = pool
      first = turn
      since = waiter.waitingSince
    }
    return next?.serveFirst() ?? false
  }
}
