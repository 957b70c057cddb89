const NONE: ReadonlySet<string> = new Set()

/** A ledger as JSON can say it. */
export interface LedgerSnapshot {
  readonly channels: readonly string[]
  readonly pending: readonly string[]
  readonly committed: readonly string[]
  readonly fresh: readonly string[]
  readonly foreign: readonly string[]
}

/**
 * The channels of a session that listens: those that it listens to, by the word of its server connection, and those that it
 * may listen to when its transaction commits. Others hear for it what is in either; nobody guesses what a text has done.
 */
export class ChannelLedger {
  #channels: ReadonlySet<string> = NONE
  readonly #pending = new Set<string>()
  /** Those of `#pending` that have probably been committed, in the middle of a pipeline: nothing of them is forgotten. */
  #committed: ReadonlySet<string> = NONE
  /** Those of `#channels` that the transaction which is ending has added. */
  #fresh: ReadonlySet<string> = NONE
  /** Channels that only its server connection listens to. */
  #foreign: ReadonlySet<string> = NONE

  get snapshot(): LedgerSnapshot {
    return {
      channels: [...this.#channels],
      pending: [...this.#pending],
      committed: [...this.#committed],
      fresh: [...this.#fresh],
      foreign: [...this.#foreign],
    }
  }

  /** As it was in another process. */
  restore({ channels, pending, committed, fresh, foreign }: LedgerSnapshot): void {
    this.#channels = new Set(channels)
    for (const channel of pending) this.#pending.add(channel)
    this.#committed = new Set(committed)
    this.#fresh = new Set(fresh)
    this.#foreign = new Set(foreign)
  }

  /** What the session listens to. */
  get channels(): ReadonlySet<string> {
    return this.#channels
  }

  /** That, and what it may when its transaction commits. */
  get heard(): ReadonlySet<string> {
    return new Set([...this.#channels, ...this.#pending])
  }

  /** What it listens to, and what it probably does by now: nothing of these is forgotten. */
  get certain(): ReadonlySet<string> {
    return new Set([...this.#channels, ...this.#committed])
  }

  /** Nothing is heard for it. */
  get isSilent(): boolean {
    return this.#channels.size + this.#pending.size === 0
  }

  /** There is nothing in it at all. */
  get isEmpty(): boolean {
    return this.isSilent && this.#foreign.size === 0
  }

  /** A transaction with a LISTEN is open, as far as is known. */
  get isOpen(): boolean {
    return this.#pending.size !== this.#committed.size
  }

  /** A LISTEN has probably been committed that nobody has asked about yet. */
  get mayHaveCommitted(): boolean {
    return this.#committed.size > 0
  }

  /** It listens to something in a way that could not be foreseen, which is heard by its server connection and nobody else. */
  get hasForeign(): boolean {
    return this.#foreign.size > 0
  }

  hears(channel: string): boolean {
    return this.#channels.has(channel) || this.#pending.has(channel)
  }

  /** It is heard by somebody already, if it is listened to at all. */
  knows(channel: string): boolean {
    return this.hears(channel) || this.#foreign.has(channel)
  }

  /** It may listen to this when its transaction commits. */
  expect(channel: string): void {
    this.#pending.add(channel)
  }

  /** The transaction ends, or has ended, and nobody has asked yet what came of it. */
  commit(): void {
    this.#committed = new Set(this.#pending)
  }

  /** The server connection listens to `found`, once the transaction is over. Returns what need not be heard any more. */
  settle(found: readonly string[]): readonly string[] {
    const next = new Set(found.filter((channel) => this.hears(channel)))
    this.#foreign = new Set(found.filter((channel) => !this.hears(channel)))
    const dropped = [...this.heard].filter((channel) => !next.has(channel))
    this.#fresh = new Set([...next].filter((channel) => !this.#channels.has(channel)))
    this.#channels = next
    this.#clear()
    return dropped
  }

  /** Nothing comes of what it may have listened to. Returns what need not be heard any more. */
  abandon(): readonly string[] {
    const dropped = [...this.#pending].filter((channel) => !this.#channels.has(channel))
    this.#clear()
    return dropped
  }

  #clear(): void {
    this.#pending.clear()
    this.#committed = NONE
  }

  /** Those of `channels` that the last transaction has added; none when asked again. */
  takeFresh(): ReadonlySet<string> {
    const fresh = this.#fresh
    this.#fresh = NONE
    return fresh
  }
}
