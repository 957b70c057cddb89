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
  /** The name under which the server connection gets or loses a statement that is nobody's; empty: none. */
  readonly stray: string
  /** Whether it had one there before. */
  readonly wasStray: boolean
}

/** A message that changes nothing, and one that changes the unnamed statement. */
export const NOTHING: StatementChange = {
  name: '',
  meant: null,
  statement: null,
  wasThere: false,
  unnamed: false,
  stray: '',
  wasStray: false,
}
export const UNNAMED: StatementChange = { ...NOTHING, unnamed: true }

/** What a server connection has by names. */
export interface StatementPlace {
  readonly statements: ServerStatements
  strays: Set<string> | null
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
  /** Neither is there in what older versions have written. */
  readonly stray?: string
  readonly wasStray?: boolean
}

/**
 * Changes of prepared statements that are not confirmed yet, in the order of the messages that make them. Those of messages
 * that an error skips are taken back: what was before is there again, or before the next change of the same thing.
 */
export class StatementJournal {
  readonly #changes: StatementChange[] = []

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

  /** Whether one of the `count` oldest is about this name, which is not empty, or about whether the server connection has this statement. */
  isPending(count: number, name: string, statement: PreparedStatement | null): boolean {
    for (let at = 0; at < count; at++) {
      const change = this.#changes[at] as StatementChange
      if (change.name === name || change.stray === name) return true
      if (statement !== null && change.statement === statement) return true
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

  /** The oldest one's message was skipped, or failed. True when that was about the unnamed statement. */
  takeBack(named: SessionStatements | null, server: StatementPlace): boolean {
    const change = this.#next()
    if (change === undefined) return false
    this.#restoreName(change, named)
    const { statement, wasThere, stray, wasStray } = change
    if (statement !== null && !this.#handOn((later) => later.statement === statement, { wasThere })) {
      if (wasThere) server.statements.add(statement)
      else server.statements.delete(statement)
    }
    if (stray !== '' && !this.#handOn((later) => later.stray === stray, { wasStray })) {
      if (wasStray) addStray(server, stray)
      else server.strays?.delete(stray)
    }
    return change.unnamed
  }

  /** The server connection is gone: nothing that is not confirmed has happened. */
  takeAllBack(named: SessionStatements | null): void {
    for (let change = this.#next(); change !== undefined; change = this.#next()) this.#restoreName(change, named)
  }

  #restoreName({ name, meant }: StatementChange, named: SessionStatements | null): void {
    if (name === '') return
    const isSame = (later: StatementChange): boolean => later.name === name
    const superseded = this.#changes.find(isSame)?.meant ?? null
    if (!this.#handOn(isSame, { meant })) named?.restore(name, meant)
    else if (superseded !== null && superseded !== meant) named?.drop(superseded)
  }

  /** The next change of the same thing finds what was before this one. False: there is none. */
  #handOn(isSame: (later: StatementChange) => boolean, before: Partial<StatementChange>): boolean {
    const at = this.#changes.findIndex(isSame)
    if (at < 0) return false
    this.#changes[at] = { ...(this.#changes[at] as StatementChange), ...before }
    return true
  }
}

/** The server connection has a statement under this name that is nobody's. */
export function addStray(server: StatementPlace, name: string): void {
  server.strays ??= new Set()
  server.strays.add(name)
}
