import { ruleOfClaim, tierOfClaim } from '../shard/claim.ts'
import { TIERS } from '../shard/tier.ts'
import { Fifo } from '../util/fifo.ts'
import type { PoolAdmission } from './pool-admission.ts'
import type { PoolWaiter } from './pool-waiter.ts'
import { goesBefore } from './shard-lane.ts'

/**
 * The clients that wait for a server connection of one pool, first come first served within each tier. Those of whom a rule
 * wants to be counted apart stand beside the others, so that nobody waits behind somebody who may not go on.
 */
export class WaitingLine {
  readonly #admission: PoolAdmission
  /** One for each tier, and behind them one for each other claim that somebody has waited as. */
  readonly #lines: Fifo<PoolWaiter>[] = TIERS.map(() => new Fifo<PoolWaiter>())
  /** Where that of a claim other than a tier is among them. */
  readonly #places = new Map<number, number>()
  #length = 0
  /** When whoever `first` returned has its turn; smaller is sooner. */
  turn = Number.POSITIVE_INFINITY

  constructor(admission: PoolAdmission) {
    this.#admission = admission
  }

  get length(): number {
    return this.#length
  }

  push(waiter: PoolWaiter): void {
    const { claim } = waiter
    this.#line(claim).push(waiter)
    waiter.waitsAs = claim
    this.#length++
    this.#admission.joined(claim)
  }

  /** Harmless when it does not wait here. */
  remove(waiter: PoolWaiter): void {
    const claim = waiter.waitsAs
    if (claim < 0) return
    this.#line(claim).remove(waiter)
    waiter.waitsAs = -1
    this.#length--
    this.#admission.left(claim)
  }

  /** Somebody of this claim's tier or a higher one waits for nothing but a server connection. */
  has(claim: number): boolean {
    const tier = tierOfClaim(claim)
    for (const { first } of this.#lines) {
      if (first !== null && tierOfClaim(first.waitsAs) <= tier && this.#admission.mayTake(first.waitsAs)) return true
    }
    return false
  }

  /** Whose turn is first, and `turn` is then when; null: nobody may go on. */
  first(): PoolWaiter | null {
    let waiter: PoolWaiter | null = null
    this.turn = Number.POSITIVE_INFINITY
    for (const line of this.#lines) {
      const head = line.first
      if (head === null) continue
      const turn = this.#admission.turn(head.waitsAs, head.waitingSince)
      if (turn > this.turn || turn === Number.POSITIVE_INFINITY) continue
      if (turn === this.turn && waiter !== null && head.waitingSince >= waiter.waitingSince) continue
      waiter = head
      this.turn = turn
    }
    return waiter
  }

  /** Who is sent away first when too many wait; null: nobody who waits here. */
  last(): PoolWaiter | null {
    let victim: PoolWaiter | null = null
    for (const { last } of this.#lines) {
      if (last === null || this.#admission.shedOrder(last.waitsAs) === 0) continue
      if (victim === null || goesBefore(last, victim, this.#admission)) victim = last
    }
    return victim
  }

  /** How many of those who wait could begin now, if there were server connections. */
  get admissible(): number {
    let count = 0
    let room = 0
    for (let tier = 0; tier < TIERS.length; tier++) {
      let ofTier = 0
      for (const line of this.#lines) {
        if (line.first === null || tierOfClaim(line.first.waitsAs) !== tier) continue
        ofTier += Math.min(line.length, this.#admission.room(line.first.waitsAs))
      }
      if (ofTier === 0) continue
      const ofShard = this.#admission.room(tier)
      room = Math.max(room, ofShard)
      count += Math.min(ofTier, ofShard)
    }
    return Math.min(count, room)
  }

  /** Everybody, as of now, the highest tier first. */
  all(): PoolWaiter[] {
    const all: PoolWaiter[] = []
    for (const line of this.#lines) {
      for (let waiter = line.first; waiter; waiter = waiter.fifoNext as PoolWaiter | null) all.push(waiter)
    }
    return all
  }

  /** Everybody, taken out, the highest tier first. */
  clear(): PoolWaiter[] {
    const all: PoolWaiter[] = []
    for (const line of this.#lines) {
      for (let waiter = line.first; waiter; waiter = line.first) {
        this.remove(waiter)
        all.push(waiter)
      }
    }
    return all
  }

  /** The operator's rules are others: everybody waits as what it is now, and since when it does. */
  recount(): void {
    const all: PoolWaiter[] = []
    for (const line of this.#lines) {
      for (let waiter = line.shift(); waiter; waiter = line.shift()) all.push(waiter)
    }
    this.#lines.length = TIERS.length
    this.#places.clear()
    this.#length = 0
    all.sort((one, other) => one.waitingSince - other.waitingSince)
    for (const waiter of all) {
      // Of rules it has been forgotten already.
      this.#admission.left(tierOfClaim(waiter.waitsAs))
      this.push(waiter)
    }
  }

  #line(claim: number): Fifo<PoolWaiter> {
    if (ruleOfClaim(claim) < 0) return this.#lines[claim] as Fifo<PoolWaiter>
    let place = this.#places.get(claim)
    if (place === undefined) {
      place = this.#lines.push(new Fifo<PoolWaiter>()) - 1
      this.#places.set(claim, place)
    }
    return this.#lines[place] as Fifo<PoolWaiter>
  }
}
