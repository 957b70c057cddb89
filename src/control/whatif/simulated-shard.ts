import { ShardAdmission } from '../../admission/shard-admission.ts'
import type { Region } from '../../memory/region.ts'
import type { PoolWaiter } from '../../server/pool-waiter.ts'
import { type LanePool, ShardLane } from '../../server/shard-lane.ts'
import { WaitingLine } from '../../server/waiting-line.ts'
import { tierOfClaim } from '../../shard/claim.ts'
import type { Policy } from '../../shard/policy.ts'
import type { Shard } from '../../shard/topology.ts'

/** The clock of the simulation. */
export interface SimulatedClock {
  readonly planeIndex: number
  readonly now: number
}

/**
 * A shard with as many server connections as slots, so that who waits, waits for a slot. Admission, line and lane are those of
 * the plane; `begin` is told whose turn it is.
 */
export class SimulatedShard implements LanePool {
  readonly shard: Shard
  readonly admission: ShardAdmission
  readonly #lane: ShardLane
  readonly #line: WaitingLine
  readonly #clock: SimulatedClock
  readonly #begin: (waiter: PoolWaiter, claim: number, on: SimulatedShard) => void
  readonly wasHeldBack = false
  /** Milliseconds of slots in use, summed over the slots. */
  busyMs = 0
  transactions = 0
  mostBusy = 0

  constructor(
    clock: SimulatedClock,
    shard: Shard,
    policy: Policy,
    records: Region,
    begin: (waiter: PoolWaiter, claim: number, on: SimulatedShard) => void,
  ) {
    this.#clock = clock
    this.shard = shard
    this.#begin = begin
    this.admission = new ShardAdmission(clock, shard, records)
    this.admission.configure(shard.slots ?? shard.maxConnections, policy)
    this.#line = new WaitingLine(this.admission)
    this.#lane = new ShardLane(this.admission)
    this.#lane.add(this)
  }

  get waiting(): number {
    return this.#line.length
  }

  /** Begins at once, waits, or is refused (`onPoolFailed`). */
  arrive(waiter: PoolWaiter): void {
    const { claim } = waiter
    if (!this.#line.has(claim) && this.admission.mayTake(claim)) {
      this.#start(waiter, claim)
      return
    }
    const refusal = this.admission.refusal(claim)
    if (refusal !== null) {
      waiter.onPoolFailed(refusal)
      return
    }
    waiter.waitingSince = this.#clock.now
    this.#line.push(waiter)
    this.#lane.count(1)
    this.#lane.shed()
  }

  /** A transaction of this claim is over after so many milliseconds. */
  end(claim: number, serviceMs: number): void {
    this.busyMs += serviceMs
    this.admission.release(claim)
    this.admission.answered(tierOfClaim(claim), serviceMs)
    this.#lane.serve(this)
  }

  #start(waiter: PoolWaiter, claim: number): void {
    this.admission.take(claim)
    this.transactions++
    this.mostBusy = Math.max(this.mostBusy, this.admission.busy)
    this.#begin(waiter, claim, this)
  }

  get canServe(): boolean {
    return this.#line.length > 0
  }

  get turn(): number {
    return this.#line.turn
  }

  firstInLine(): PoolWaiter | null {
    return this.#line.first()
  }

  serve(waiter: PoolWaiter): boolean {
    const claim = waiter.waitsAs
    this.leave(waiter)
    this.#start(waiter, claim)
    return true
  }

  reconsider(): void {}

  lastInLine(): PoolWaiter | null {
    return this.#line.last()
  }

  leave(waiter: PoolWaiter): void {
    const before = this.#line.length
    this.#line.remove(waiter)
    this.#lane.count(this.#line.length - before)
  }
}
