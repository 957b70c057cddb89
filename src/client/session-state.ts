import { PIN } from '../memory/client-slots.ts'
import type { ReplyQueue } from '../server/reply-queue.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import { FACT, type StatementFacts } from '../sql/statement-facts.ts'

/** Pins that nothing the client says can end. */
const LIFELONG = PIN.sessionMode | PIN.console | PIN.replication
/** What a text resets, if it succeeds. */
const RESETS = FACT.discardsAll | FACT.resetsAll | FACT.resets | FACT.deallocatesAll
const ENDS_TRANSACTION = FACT.commits | FACT.rollsBack | FACT.preparesTransaction
/** Fails inside of a transaction, and says to whoever reads the server's log why. */
const LOSE_TRANSACTION = 'BEGIN;ROLLBACK TO SAVEPOINT "the transaction was lost with its server connection"'

/** What sequences gave other sessions is none of this one's business. */
const FORGET_SEQUENCES = 'DISCARD SEQUENCES'

/** `commit`: PREPARE TRANSACTION too, and whenever a COMMIT is among several. */
export type TransactionEnding = 'none' | 'rollback' | 'commit'

/** What became of statements that reset something. */
export interface ResetEffects {
  /** All prepared statements are gone. */
  readonly statements: boolean
  /** Settings that are again what the client gave at startup, which the server could not know. */
  readonly restored: readonly (readonly [string, string])[]
}

const NO_EFFECTS: ResetEffects = { statements: false, restored: [] }

/**
 * What makes a session this client's, besides its prepared statements: its settings, the reasons why it must keep its server
 * connection, and a transaction it believes in. Knows how to put a server connection into that state.
 */
export class SessionState {
  readonly #registry: ParameterRegistry
  readonly #pinned: (bits: number) => void
  #pins = 0
  #parameters: ParameterSet | null = null
  #initial: ParameterSet | null = null
  #resets = 0
  #resetNames: string[] = []
  /** Since it got its server connection it has sent nothing but BEGIN. */
  #onlyBegun = false
  #transactionLost = false
  /** The ReadyForQuery, counted since the server connection began, behind the last text that ends a transaction. */
  #endsWith = 0
  #mayCommit = false

  /** `pinned` is told the reasons whenever they change. */
  constructor(registry: ParameterRegistry, pinned: (bits: number) => void) {
    this.#registry = registry
    this.#pinned = pinned
  }

  /** PIN bits. */
  get pins(): number {
    return this.#pins
  }

  get parameters(): ParameterSet | null {
    return this.#parameters
  }

  /** What the settings were after login. */
  get initial(): ParameterSet | null {
    return this.#initial
  }

  /** The client believes in a transaction whose server connection is gone. */
  get transactionLost(): boolean {
    return this.#transactionLost
  }

  /** What was sent and is not answered ends the transaction in this way, if it succeeds. */
  ending(queue: ReplyQueue): TransactionEnding {
    if (this.#endsWith <= queue.answered) return 'none'
    return this.#mayCommit ? 'commit' : 'rollback'
  }

  /** Logged in with these settings; null: its server connection is its own for life, so nobody need know them. */
  begin(parameters: ParameterSet | null): void {
    this.#parameters = parameters
    this.#initial = parameters
  }

  pin(bits: number): void {
    if ((this.#pins | bits) === this.#pins) return
    this.#pins |= bits
    this.#pinned(this.#pins)
  }

  loseTransaction(lost: boolean): void {
    this.#transactionLost = lost
    this.#resets = 0
  }

  /** SQL that makes `server` this session's; empty when it is as it should be. `facts`: of what comes next. */
  preamble(server: ServerConnection, facts: StatementFacts | null): string {
    this.#endsWith = 0
    const fits = this.#parameters === null || this.#parameters === server.parameters
    // The first text's own facts are noted next.
    this.#onlyBegun = facts === null || (facts.flags & FACT.readsSequence) === 0
    if (fits && this.#onlyBegun && !this.#transactionLost) return ''
    const sql: string[] = []
    if (this.#parameters !== null && !fits) {
      const difference = this.#registry.difference(server.parameters, this.#parameters)
      if (difference !== '') sql.push(difference)
      server.parameters = this.#parameters
    }
    if (!this.#onlyBegun) sql.push(FORGET_SEQUENCES)
    if (this.#transactionLost) sql.push(LOSE_TRANSACTION)
    return sql.length === 0 ? '' : sql.join(';')
  }

  /** The server has answered the preamble; false when it could not be put into this session's state. */
  isRestored(failed: boolean): boolean {
    const meant = this.#transactionLost
    this.#transactionLost = false
    return meant || !failed
  }

  /** The facts of a text that is sent now. Returns SQL that has to go ahead of it, mostly none. */
  note(facts: StatementFacts, server: ServerConnection | null): string {
    this.#note(facts, server)
    const wasOnlyBegun = this.#onlyBegun
    this.#onlyBegun &&= facts.flags === FACT.begins
    // As long as it has only begun a transaction here, any number it could read is another session's.
    const sql = wasOnlyBegun && (facts.flags & FACT.readsSequence) !== 0 && this.#pins === 0 ? FORGET_SEQUENCES : ''
    if (server !== null && (facts.flags & ENDS_TRANSACTION) !== 0)
      this.#end(facts.flags, server.queue, sql !== '' && server.queue.length === 0)
    return sql
  }

  #end(flags: number, queue: ReplyQueue, isPreceded: boolean): void {
    if (this.ending(queue) === 'none') this.#mayCommit = false
    this.#mayCommit ||= (flags & (FACT.commits | FACT.preparesTransaction)) !== 0
    this.#endsWith = queue.answered + queue.outstanding + (isPreceded ? 2 : 1)
  }

  #note(facts: StatementFacts, server: ServerConnection | null): void {
    const { flags, pins } = facts
    if (pins !== 0) this.pin(pins)
    if ((flags & FACT.sets) !== 0) {
      // Settings that the server reports are followed by what it reports; the others only it knows.
      const reported = server?.baseline.values
      if (facts.settings.some((name) => reported?.has(name) !== true)) this.pin(PIN.setting)
    }
    if ((flags & RESETS) === 0) return
    this.#resets |= flags & RESETS
    if ((flags & FACT.resets) !== 0) this.#resetNames.push(...facts.settings)
  }

  /** The server reports a value that the client has been told. */
  report(name: string, value: string, server: ServerConnection | null): void {
    if (this.#parameters === null) return
    this.#parameters = this.#registry.with(this.#parameters, name, value)
    if (server) server.parameters = this.#parameters
  }

  /** Something failed: what was to be reset was not. */
  fail(): void {
    this.#resets = 0
    this.#resetNames = []
  }

  /** Everything sent has been answered. */
  settle(server: ServerConnection): ResetEffects {
    const done = this.#resets
    if (done === 0) return NO_EFFECTS
    const names =
      (done & (FACT.discardsAll | FACT.resetsAll)) !== 0 ? [...(this.#initial?.values.keys() ?? [])] : this.#resetNames
    this.#resets = 0
    this.#resetNames = []
    if ((done & FACT.discardsAll) !== 0) {
      this.#pins &= LIFELONG
      this.#pinned(this.#pins)
    }
    return {
      statements: (done & (FACT.discardsAll | FACT.deallocatesAll)) !== 0,
      restored: this.#restore(names, server),
    }
  }

  /** The server went back to its own start; the client expects what it gave at its startup. */
  #restore(names: readonly string[], server: ServerConnection): (readonly [string, string])[] {
    const restored: [string, string][] = []
    const initial = this.#initial
    if (initial === null) return restored
    for (const name of names) {
      const value = initial.values.get(name)
      if (value === undefined || value === server.baseline.values.get(name) || this.#parameters === null) continue
      this.#parameters = this.#registry.with(this.#parameters, name, value)
      restored.push([name, value])
    }
    // A setting that the server does not report is at its default there now.
    if (restored.length > 0) server.parameters = this.#registry.without(server.parameters, names, server.baseline)
    return restored
  }
}
