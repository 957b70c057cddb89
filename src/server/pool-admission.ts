import type { ErrorFields } from '../protocol/messages.ts'

/** Who decides how many transactions a shard has and whose turn it is. Tiers are given as their codes. */
export interface PoolAdmission {
  /** One transaction more of this tier may begin now. */
  mayTake(tier: number): boolean
  /** How many more may. */
  room(tier: number): number
  take(tier: number): void
  /** It is over. */
  release(tier: number): void
  /** When somebody has its turn that waits since then; smaller is sooner, Infinity: not now. */
  turn(tier: number, waitingSince: number): number
  /** One more, or one less, waits. */
  joined(tier: number): void
  left(tier: number): void
  /** Why nobody more of this tier may wait; null: it may. */
  refusal(tier: number): ErrorFields | null
  /** So many wait that one has to go: the tier that it is taken from, or −1, and what it is told. */
  victim(): number
  shedding(tier: number): ErrorFields
  /** Somebody of this tier has waited so long and goes on, or was sent away. */
  waited(tier: number, milliseconds: number): void
  refused(tier: number): void
  timedOut(tier: number): void
  /** A query of this tier was answered after so long. */
  answered(tier: number, milliseconds: number): void
}

/** For servers that count against nothing: the console. */
export const NO_ADMISSION: PoolAdmission = {
  mayTake: () => true,
  room: () => Number.MAX_SAFE_INTEGER,
  take: () => {},
  release: () => {},
  turn: () => 0,
  joined: () => {},
  left: () => {},
  refusal: () => null,
  victim: () => -1,
  shedding: () => ({ severity: 'ERROR', sqlstate: '53300', message: 'too many transactions wait' }),
  waited: () => {},
  refused: () => {},
  timedOut: () => {},
  answered: () => {},
}
