import type {
  PreparedStatement,
  ServerStatements,
  SessionStatements,
  StatementReference,
} from '../session/prepared-statements.ts'

/** What a Parse or Close changes when it is sent, before it is known whether an error skips it. */
export interface StatementChange {
  /** The client's name whose meaning changes; empty: none. */
  readonly name: string
  /** What that name meant before. */
  readonly meant: PreparedStatement | null
  /** The statement that the server connection gets or loses; null: none. */
  readonly statement: PreparedStatement | null
  /** Whether it had it before. */
  readonly wasThere: boolean
  /** The unnamed statement changes. */
  readonly unnamed: boolean
}

/** It changes the unnamed statement, and nothing else. */
function isOfUnnamed({ unnamed, name, statement }: StatementChange): boolean {
  return unnamed && name === '' && statement === null
}

/** A change as JSON can say it. */
export interface SavedChange {
  readonly name: string
  readonly meant: StatementReference | null
  readonly statement: StatementReference | null
  readonly wasThere: boolean
  readonly unnamed: boolean
}

/**
 * Changes of prepared statements that are not confirmed yet, in the order of the messages that make them. Those of messages
 * that an error skips are taken back: of several changes of the same thing, what was before the first one counts.
 */
export class StatementJournal {
  readonly #changes: StatementChange[] = []
  /** Names and statements that have been put back since the last error. */
  readonly #restored = new Set<string | PreparedStatement>()

  get isEmpty(): boolean {
    return this.#changes.length === 0
  }

  get all(): readonly StatementChange[] {
    return this.#changes
  }

  /** How many there are, if all of them are `isOfUnnamed`; else 0. */
  get ofUnnamed(): number {
    for (const change of this.#changes) if (!isOfUnnamed(change)) return 0
    return this.#changes.length
  }

  /** Whether one of the `count` oldest is about this name, or about whether the server connection has this statement. */
  isPending(count: number, name: string, statement: PreparedStatement | null): boolean {
    for (let at = 0; at < count; at++) {
      const change = this.#changes[at] as StatementChange
      if (change.name === name || (statement !== null && change.statement === statement)) return true
    }
    return false
  }

  /** Whether one of the changes is about the unnamed statement. */
  get isUnnamedPending(): boolean {
    return this.isUnnamedAmong(this.#changes.length)
  }

  /** Whether one of the `count` oldest is the last one about the unnamed statement. */
  isUnnamedAmong(count: number): boolean {
    for (let at = this.#changes.length - 1; at >= 0; at--) {
      if ((this.#changes[at] as StatementChange).unnamed) return at < count
    }
    return false
  }

  /** A Parse or Close has been sent. */
  note(change: StatementChange): void {
    this.#changes.push(change)
  }

  /** The oldest one's message has been answered; returns it, undefined when there is none. */
  confirm(): StatementChange | undefined {
    return this.#next()
  }

  /** Mostly there is just one, and then it is cheaper to take it from the end. */
  #next(): StatementChange | undefined {
    return this.#changes.length === 1 ? this.#changes.pop() : this.#changes.shift()
  }

  /** An error has come; what it skips follows. */
  beginSkipping(): void {
    this.#restored.clear()
  }

  /** The oldest one's message was skipped, or failed. True when that was about the unnamed statement. */
  takeBack(named: SessionStatements | null, server: ServerStatements): boolean {
    const change = this.#next()
    if (change === undefined) return false
    this.#restoreName(change, named)
    const { statement, wasThere } = change
    if (statement !== null && !this.#restored.has(statement)) {
      this.#restored.add(statement)
      if (wasThere) server.add(statement)
      else server.delete(statement)
    }
    return change.unnamed
  }

  /** The server connection is gone: nothing that is not confirmed has happened. */
  takeAllBack(named: SessionStatements | null): void {
    this.beginSkipping()
    for (const change of this.#changes) this.#restoreName(change, named)
    this.#changes.length = 0
  }

  #restoreName({ name, meant }: StatementChange, named: SessionStatements | null): void {
    if (name === '' || this.#restored.has(name)) return
    this.#restored.add(name)
    named?.restore(name, meant)
  }
}
