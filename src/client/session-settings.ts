import { STATUS } from '../protocol/message-type.ts'
import type { Rows } from '../server/captured-rows.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { type Inquiry, readFindings } from '../session/inquiry.ts'
import type { ParameterRegistry, ParameterSet } from '../session/parameters.ts'
import { type ChangesSnapshot, SettingChanges } from '../session/setting-changes.ts'
import type { SqlStatement } from '../session/sql-statement.ts'
import type { SettingValue } from '../sql/setting-scan.ts'
import type { Effects } from '../sql/statement-effects.ts'
import { withoutTiers } from './parallelism.ts'
import { isFollowedReset, isReported, isUtf8, ROLE } from './setting-kinds.ts'
import { type SettingList, SettingsQuestion } from './settings-question.ts'
import { settingsSql } from './settings-sql.ts'

/** Settings that the client has to be told of, with their values. */
export type Restored = readonly (readonly [string, string | null])[]
export const NOTHING: Restored = []

/** What an inquiry has brought. */
export interface Answer {
  readonly restored: Restored
  /** PIN bits of what lies in the server connection, if that was asked. */
  readonly pins: number
  /** What was prepared there in SQL, if that was asked. */
  readonly statements: readonly SqlStatement[]
}

/** What is known of settings besides the values themselves. */
export interface SettingsSnapshot {
  readonly asked: Inquiry | null
  readonly touched: readonly string[]
  readonly reset: readonly string[]
  readonly mayHaveFallen: boolean
  readonly changes: ChangesSnapshot | null
}

const NO_ANSWER: Answer = { restored: NOTHING, pins: 0, statements: [] }

/** Of all sessions whose client has touched no setting; never written to. */
const UNTOUCHED = new SettingChanges()

/**
 * The settings of a session, followed from one server connection to the next.
 *
 * Those that servers report are followed by what they report. Of the others, SET and RESET of a plain value that succeed
 * say themselves what is true then; whenever that is not enough (a rollback, an error, a computed value), the server is
 * asked once nothing else is going on.
 */
export class SessionSettings {
  readonly #registry: ParameterRegistry
  #changes = UNTOUCHED
  #parameters: ParameterSet | null = null
  #initial: ParameterSet | null = null
  /** What the server connection is being asked; null: nothing. */
  #question: SettingsQuestion | null = null
  #mayHaveFallen = false
  /** Behind which ReadyForQuery, counted since the server connection began, the first change is done; 0: it is. */
  #doneBehind = 0

  constructor(registry: ParameterRegistry) {
    this.#registry = registry
  }

  /** Null: the server connection is the session's own for life, so nobody need know them. */
  get parameters(): ParameterSet | null {
    return this.#parameters
  }

  /** What they were after login. */
  get initial(): ParameterSet | null {
    return this.#initial
  }

  /** Null: nothing is going on. */
  get snapshot(): SettingsSnapshot | null {
    const changes = this.#changes.snapshot
    const question = this.#question
    if (changes === null && question === null && !this.#mayHaveFallen) return null
    return {
      asked: question?.inquiry ?? null,
      touched: [...(question?.touched ?? [])],
      reset: [...(question?.reset ?? [])],
      mayHaveFallen: this.#mayHaveFallen,
      changes,
    }
  }

  /** As another process had them; `resume` comes first. */
  restore({ asked, touched, reset, mayHaveFallen, changes }: SettingsSnapshot): void {
    if (asked !== null) this.#question = new SettingsQuestion(asked, touched, reset)
    this.#mayHaveFallen = mayHaveFallen
    if (changes !== null) this.#ownChanges().restore(changes)
  }

  get isAsking(): boolean {
    return this.#question !== null
  }

  /**
   * The server may have gone back to its own default where the session has a value from the startup packet, which has to be
   * put there again before the next request.
   */
  mustAwait(server: ServerConnection | null): boolean {
    if (!this.#mayHaveFallen || server === null) return false
    return this.#question !== null || (server.queue.outstanding > 0 && !server.queue.unfinished)
  }

  /** The same, once everything is answered. */
  get mayHaveFallen(): boolean {
    return this.#mayHaveFallen
  }

  /** What the server connection has is not what is known of the session: it may not be given to anybody as it is. */
  get isUnsettled(): boolean {
    return this.#question !== null || this.#changes.any
  }

  /**
   * Were the server connection lost now, something would be lost with it that a rollback does not undo, and that the client
   * has been told is done.
   */
  isAtRisk(answered: number): boolean {
    if (this.#question !== null) return true
    return this.#changes.any && !this.#changes.onlyInTransaction && answered >= this.#doneBehind
  }

  /** Logged in with these; null: its server connection is its own for life, so nobody need know them. */
  begin(parameters: ParameterSet | null): void {
    this.#parameters = parameters
    this.#initial = parameters
  }

  /** As another process has known them. */
  resume(initial: ParameterSet, parameters: ParameterSet): void {
    this.#initial = initial
    this.#parameters = parameters
  }

  /** They are what they were before. */
  goBackTo(parameters: ParameterSet): void {
    if (this.#parameters !== null) this.#parameters = parameters
  }

  /** SQL that gives `server` these settings, which are those of the session with this serial number; empty when it has them. */
  sqlFor(server: ServerConnection, parameters: ParameterSet, serial: number): string {
    return settingsSql(this.#registry, server, parameters, serial)
  }

  /** A statement that touches settings is sent, or, `isSent`, has been sent. */
  touch(effects: Effects, server: ServerConnection | null, isSent: boolean): void {
    if (this.#parameters === null || server === null) return
    const { any } = this.#changes
    this.#touchNamed(effects, server)
    if (!any) this.#doneBehind = server.queue.answered + server.queue.outstanding + (isSent ? 0 : 1)
  }

  #touchNamed(effects: Effects, server: ServerConnection): void {
    const inTransaction = server.status !== STATUS.idle
    const { settings, values } = effects
    for (let at = 0; at < settings.length; at++) {
      const name = settings[at] as string
      const value = values[at]
      // Behind a RESET, what is reported may be either's.
      const isFollowed = value === null ? isFollowedReset(server, name, this.#initial) : !isReported(server, name)
      if (isFollowed || this.#changes.lastOf(name) === null) this.#touch(name, value, inTransaction)
    }
  }

  #ownChanges(): SettingChanges {
    if (this.#changes === UNTOUCHED) this.#changes = new SettingChanges()
    return this.#changes
  }

  #touch(name: string, value: SettingValue, inTransaction: boolean): void {
    this.#ownChanges().touch(name, value, inTransaction)
    if (value === null && this.#initial?.values.has(name)) this.#mayHaveFallen = true
  }

  /** RESET ALL, or DISCARD ALL, which ends a role too. */
  touchAll(server: ServerConnection | null, withRole: boolean): void {
    if (this.#parameters === null || server === null) return
    if (!this.#changes.any) this.#doneBehind = server.queue.answered + server.queue.outstanding + 1
    const names = new Set([...this.#parameters.values.keys(), ...(this.#initial?.values.keys() ?? [])])
    for (const [name] of this.#changes.all) names.add(name)
    for (const name of names) {
      if ((name !== ROLE || withRole) && isFollowedReset(server, name, this.#initial)) {
        this.#touch(name, null, server.status !== STATUS.idle)
      }
    }
  }

  /** A statement that touches settings is bound to a portal. */
  bound(): void {
    this.#ownChanges().bound()
  }

  /** Some portal is executed. */
  executed(): void {
    this.#changes.executed()
  }

  /** Something failed or was rolled back. */
  undo(): void {
    this.#changes.undo()
  }

  /** The server connection is gone, and all that was not committed. */
  forget(): void {
    this.#changes.clear()
    this.#mayHaveFallen = false
    this.#question = null
  }

  /**
   * The server reports a value. Returns what to tell the client, null: nothing. Where RESET has brought back the server's
   * own default, that is the value of the client's startup packet.
   */
  report(name: string, value: string, server: ServerConnection | null): string | null {
    if (this.#parameters === null || server === null) return value
    const lower = name.toLowerCase()
    const isReset = value === server.baseline.values.get(lower) && this.#changes.lastOf(lower) === null
    const shown = isReset ? (this.#initial?.values.get(lower) ?? value) : value
    const told = this.#parameters.values.get(lower)
    this.#parameters = this.#registry.with(this.#parameters, name, shown)
    // It came in the client's encoding, which need not be ours.
    const isForeign = !/^[\0-\x7f]*$/.test(value) && !isUtf8(this.#parameters)
    if (isForeign) {
      this.#doneBehind = 0
      this.#ownChanges().touch(lower, undefined, server.status !== STATUS.idle)
    }
    return shown === told ? null : shown
  }

  /**
   * Everything sent is answered and no transaction is open: what is known is applied. Returns the settings that the client
   * has to be told, because the server reported its own default.
   */
  settle(server: ServerConnection): Restored {
    if (this.#parameters === null || !this.#changes.any || !this.#changes.isDone) return []
    if (!this.#changes.known) return this.#become(server, [], this.#resetHere(server))
    const here: SettingList = []
    const everywhere: SettingList = []
    const { all, reset } = this.#changes
    for (const [name, value] of all) {
      if (!isReported(server, name)) here.push([name, value ?? null])
      else if (!reset.has(name)) continue
      everywhere.push([name, value ?? this.#initial?.values.get(name) ?? null])
    }
    this.#changes.clear()
    this.#mayHaveFallen = false
    return this.#become(server, here, everywhere)
  }

  /** What the session has where the server connection is back at its own default, as far as that is known. */
  #resetHere(server: ServerConnection): SettingList {
    const initial = this.#initial?.values
    const reset = [...this.#changes.reset].filter((name) => isReported(server, name) || initial?.has(name))
    return reset.map((name) => [name, initial?.get(name) ?? null])
  }

  /** What the server has to be asked about the settings that were touched; null when all is known. */
  ask(): Inquiry | null {
    if (!this.#changes.any) return null
    return this.#pose(SettingsQuestion.aboutChanges(this.#changes, this.#parameters))
  }

  /** What the server has to be asked to know all that can be known. `scan`: also what its functions may have set. */
  review(scan: boolean, statements: boolean): Inquiry {
    const { customs } = this.#registry
    return this.#pose(SettingsQuestion.aboutAll(this.#changes, this.#parameters, customs, { scan, statements }))
  }

  /** What was touched so far is asked for now. */
  #pose(question: SettingsQuestion): Inquiry {
    this.#question = question
    this.#mayHaveFallen = [...question.reset].some((name) => this.#initial?.values.has(name))
    this.#changes.clear()
    return question.inquiry
  }

  /** The server's answer, null when there is none. Returns null when nothing is known now. */
  answer(rows: Rows | null, server: ServerConnection): Answer | null {
    const question = this.#question
    const parameters = this.#parameters
    this.#question = null
    this.#mayHaveFallen = false
    if (question === null || parameters === null) return NO_ANSWER
    const all = rows === null ? null : readFindings(question.inquiry, rows)
    const findings = all === null ? null : withoutTiers(all, server)
    if (findings === null) {
      this.#doneBehind = 0
      for (const name of question.touched) this.#ownChanges().touch(name, undefined, false)
      return null
    }
    for (const name of findings.customs.keys()) this.#registry.customs.add(name)
    const known = { parameters, initial: this.#initial }
    const here = question.found(findings, server, known)
    const restored = this.#become(server, here, [...here, ...question.fallen(findings, server, known)])
    return { restored, pins: findings.pins, statements: findings.statements }
  }

  /** The server connection has `here` now, the session `everywhere`. */
  #become(server: ServerConnection, here: SettingList, everywhere: SettingList): Restored {
    const before = this.#parameters as ParameterSet
    server.parameters = this.#registry.change(server.parameters, here)
    const after = this.#registry.change(before, everywhere)
    this.#parameters = after
    return everywhere.filter(([name, value]) => isReported(server, name) && before.values.get(name) !== value)
  }
}
