import type { TierRule } from '../../shard/policy.ts'

/** One transaction that a client wanted, and what it takes of a server. */
export interface WantedTransaction {
  /** Milliseconds since the beginning. */
  readonly at: number
  /** Number of its connection; transactions of one connection follow each other. */
  readonly session: number
  /** Milliseconds on a server connection. */
  readonly serviceMs: number
  /** Tier code. */
  readonly tier: number
  /** It only reads, in one statement or in a transaction that says READ ONLY. */
  readonly isRead: boolean
  readonly group: string
  /** What holds for its client instead of what its tier says; null: nothing. */
  readonly rule: TierRule | null
}

/** What is to be simulated, in the order of time. */
export interface Work {
  /** How long the record is. */
  readonly durationMs: number
  /** How many connections. */
  readonly sessions: number
  readonly transactions: readonly WantedTransaction[]
}
