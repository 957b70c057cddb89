import { isCustom } from '../session/custom-names.ts'
import type { Findings, Inquiry } from '../session/inquiry.ts'
import type { ParameterSet } from '../session/parameters.ts'
import type { SettingChanges } from '../session/setting-changes.ts'
import { STATEMENT_TIMEOUT } from '../session/setting-statements.ts'
import { isFollowedReset, isReported, named, ROLE, type ServerSettings, unlisted } from './setting-kinds.ts'

/** Values of settings, by lower-case name; null: none of the session's own. */
export type SettingList = [string, string | null][]

/** Settings of a session, as far as they are known. */
export interface KnownSettings {
  readonly parameters: ParameterSet
  /** What they were after login. */
  readonly initial: ParameterSet | null
}

/** A question about settings that a server connection is being asked, and what its session had touched when it was. */
export class SettingsQuestion {
  readonly inquiry: Inquiry
  /** Which of what it is asked for the client has touched, and which of these may have been reset. */
  readonly touched: ReadonlySet<string>
  readonly reset: ReadonlySet<string>

  constructor(inquiry: Inquiry, touched: Iterable<string>, reset: Iterable<string>) {
    this.inquiry = inquiry
    this.touched = new Set(touched)
    this.reset = new Set(reset)
  }

  /** About nothing but what was touched. */
  static aboutChanges({ all, reset }: SettingChanges, parameters: ParameterSet | null): SettingsQuestion {
    const names = namesOf(all)
    const customs = [...names].filter(isCustom)
    const timeout = names.has(STATEMENT_TIMEOUT) ? null : (parameters?.values.get(STATEMENT_TIMEOUT) ?? null)
    const settings = customs.length < names.size
    return new SettingsQuestion(
      { customs, settings, named: named(names), timeout, leftovers: false, statements: false, scan: false },
      names,
      reset,
    )
  }

  /**
   * About all that can be known. `customs`: names of settings of applications that anybody has used. `scan`: also what the
   * server's functions may have set. `statements`: also what was prepared in SQL.
   */
  static aboutAll(
    { all, reset }: SettingChanges,
    parameters: ParameterSet | null,
    customs: Iterable<string>,
    { scan, statements }: { scan: boolean; statements: boolean },
  ): SettingsQuestion {
    const names = namesOf(all)
    const every = new Set([...names, ...(parameters?.values.keys() ?? []), ...customs])
    return new SettingsQuestion(
      {
        customs: [...every].filter(isCustom),
        settings: true,
        named: named(names),
        timeout: null,
        leftovers: true,
        statements,
        scan,
      },
      names,
      reset,
    )
  }

  /** What the server connection has by its answer, as changes of what it was taken to have. */
  found(findings: Findings, server: ServerSettings, { parameters }: KnownSettings): SettingList {
    const { settings, role } = findings
    const found = this.#customs(findings, parameters)
    if (settings !== null) found.push(...unlisted(server, settings), ...settings)
    // Who has had a role, or has set one, may have given it up for good, whatever the login role's default is.
    const mayHaveSet = parameters.values.has(ROLE) || (this.touched.has(ROLE) && !this.reset.has(ROLE))
    if (role !== null) found.push([ROLE, role === 'none' && !mayHaveSet ? null : role])
    return found
  }

  /** Names that others use are empty here at most, unless this session has set them in a way that nobody has seen. */
  #customs({ customs }: Findings, { values }: ParameterSet): SettingList {
    const found: SettingList = []
    for (const [name, value] of customs) {
      const isOwn = this.touched.has(name) || values.has(name)
      if (isOwn || (value !== null && value !== '')) found.push([name, value])
    }
    return found
  }

  /** Settings of the startup packet that are at the server's default: the session's is another. */
  fallen({ settings, customs }: Findings, server: ServerSettings, { parameters, initial }: KnownSettings): SettingList {
    const fallen: SettingList = []
    for (const [name, value] of initial?.values ?? []) {
      if (!isFollowedReset(server, name, initial)) continue
      const wasReset = this.reset.has(name)
      const hasFallen = isCustom(name)
        ? wasReset && isFallen(customs.get(name), parameters.values.get(name))
        : settings?.has(name) === false
      // A value that the server has anyway was not set there.
      const isDefault = isReported(server, name) && parameters.values.get(name) === server.baseline.values.get(name)
      if (hasFallen && (wasReset || !isDefault)) fallen.push([name, value])
    }
    return fallen
  }
}

/**
 * A setting of an application that may have been reset: the server's default for it is empty, which nobody tells from an empty value
 * that was set, or one of the role's or the database's.
 */
const isFallen = (value: string | null | undefined, before: string | undefined): boolean =>
  value === '' || value !== before

const namesOf = (changes: SettingChanges['all']): ReadonlySet<string> => new Set(changes.map(([name]) => name))
