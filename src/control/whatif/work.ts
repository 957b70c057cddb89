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
  /** The place of the operator's rule that holds for its client; −1: none does. */
  readonly rule: number
}

/** What is to be simulated, in the order of time. */
export interface Work {
  /** How long the record is. */
  readonly durationMs: number
  /** How many connections. */
  readonly sessions: number
  readonly transactions: readonly WantedTransaction[]
}
