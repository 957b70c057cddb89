import type { PoolAdmission } from './pool-admission.ts'
import type { PoolWaiter } from './pool-waiter.ts'

/** A pool, as the lane of its shard sees it. */
export interface LanePool {
  /** Somebody waits, and a server connection is free. */
  readonly canServe: boolean
  /** Whose turn is first of those who wait here, and `turn` is then when; smaller is sooner. */
  firstInLine(): PoolWaiter | null
  readonly turn: number
  /** Gives it, who is first in line, a server connection; false: nobody can get one. */
  serve(waiter: PoolWaiter): boolean
  /** It opened fewer server connections than clients wait, because the shard had no slots for more. */
  readonly wasHeldBack: boolean
  reconsider(): void
  /** Who goes first of those who wait here when too many do; null: nobody. */
  lastInLine(): PoolWaiter | null
  leave(waiter: PoolWaiter): void
}

/** When too many wait `one` is sent away rather than `other`. */
export function goesBefore(one: PoolWaiter, other: PoolWaiter, admission: PoolAdmission): boolean {
  const difference = admission.shedOrder(one.waitsAs) - admission.shedOrder(other.waitsAs)
  return difference > 0 || (difference === 0 && one.waitingSince >= other.waitingSince)
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

  /** Too many wait: the newest of those that go first is told so. */
  shed(): void {
    const { admission } = this
    if (!admission.isOverfull) return
    let from: LanePool | null = null
    let victim: PoolWaiter | null = null
    for (const pool of this.#pools) {
      const last = pool.lastInLine()
      if (last === null || (victim !== null && !goesBefore(last, victim, admission))) continue
      from = pool
      victim = last
    }
    if (from === null || victim === null) return
    const claim = victim.waitsAs
    from.leave(victim)
    admission.refused(claim)
    victim.onPoolFailed(admission.shedding(claim))
  }

  #serveOne(): boolean {
    let next: LanePool | null = null
    let who: PoolWaiter | null = null
    let first = Number.POSITIVE_INFINITY
    for (const pool of this.#pools) {
      if (!pool.canServe) continue
      const waiter = pool.firstInLine()
      const turn = pool.turn
      if (
        waiter === null ||
        turn > first ||
        (who !== null && turn === first && waiter.waitingSince >= who.waitingSince)
      )
        continue
      next = pool
      who = waiter
      first = turn
    }
    return next !== null && who !== null && next.serve(who)
  }
}
