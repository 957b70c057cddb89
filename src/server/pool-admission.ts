import type { ErrorFields } from '../protocol/messages.ts'

/** Who decides how many transactions a shard has and whose turn it is. `claim`: see `claimOf`; tiers are given as their codes. */
export interface PoolAdmission {
  /** One transaction more of this claim may begin now. */
  mayTake(claim: number): boolean
  /** How many more may. */
  room(claim: number): number
  take(claim: number): void
  /** It is over. */
  release(claim: number): void
  /** The operator's rules are others: who has a slot already counts for the rule of this claim from now on. */
  recount(claim: number): void
  /** When somebody has its turn that waits since then; smaller is sooner, Infinity: not now. */
  turn(claim: number, waitingSince: number): number
  /** One more, or one less, waits. */
  joined(claim: number): void
  left(claim: number): void
  /** Why nobody more of this claim may wait; null: it may. */
  refusal(claim: number): ErrorFields | null
  /** So many wait that one has to go: the newest of those with the highest shed order; 0: they never go. */
  readonly isOverfull: boolean
  shedOrder(claim: number): number
  /** What it is told. */
  shedding(claim: number): ErrorFields
  /** Somebody has waited so long and goes on, or was sent away. */
  waited(claim: number, milliseconds: number): void
  refused(claim: number): void
  timedOut(claim: number): void
  /** A query of this tier was answered after so long. */
  answered(tier: number, milliseconds: number): void
}

/** For servers that count against nothing: the console. */
export const NO_ADMISSION: PoolAdmission = {
  mayTake: () => true,
  room: () => Number.MAX_SAFE_INTEGER,
  take: () => {},
  release: () => {},
  recount: () => {},
  turn: () => 0,
  joined: () => {},
  left: () => {},
  refusal: () => null,
  isOverfull: false,
  shedOrder: () => 0,
  shedding: () => ({ severity: 'ERROR', sqlstate: '53300', message: 'too many transactions wait' }),
  waited: () => {},
  refused: () => {},
  timedOut: () => {},
  answered: () => {},
}
