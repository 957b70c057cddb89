import type { Stored } from '../memory/value-store.ts'
import { CustomNames, isCustom } from './custom-names.ts'
import { type Dialect, statementsBetween } from './setting-statements.ts'

/** Parameters that a server reports but no client can set: they belong to the server, not to the session. */
const FIXED = new Set(['server_version', 'server_encoding', 'integer_datetimes', 'is_superuser', 'in_hot_standby'])

/** Startup parameters that are no settings. */
export const STARTUP_KEYWORDS: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication'])

export function isSettable(name: string): boolean {
  return !FIXED.has(name.toLowerCase())
}

/**
 * Values of settings, immutable and interned: two sessions that want the same have the same object, so the common
 * question "does this server connection fit?" is one comparison. Names are lower case, sorted.
 */
export class ParameterSet implements Stored {
  readonly id: number
  readonly values: ReadonlyMap<string, string>
  /** Its values, in the plane's value store; 0 as long as no session at rest has them. */
  storedAs = 0
  storedIn = 0
  /** Answers of `ParameterRegistry.with`, by name and value. */
  readonly successors: Map<string, ParameterSet> = new Map()
  /** SQL from this set to another, by the other's id and the dialect. */
  readonly differences: Map<number, string> = new Map()

  constructor(id: number, values: ReadonlyMap<string, string>) {
    this.id = id
    this.values = values
  }
}

/** Past this many sets, those that nobody uses are dropped. */
const SWEEP_AT = 4096

/** Makes and remembers parameter sets. One per plane. */
export class ParameterRegistry {
  readonly #sets = new Map<string, ParameterSet>()
  /** Names of settings of applications (`app.tenant`) that anybody has used, which no server lists. */
  readonly customs: CustomNames = new CustomNames()
  #nextId = 1

  get size(): number {
    return this.#sets.size
  }

  /** Names in any case; what no client can set is left out. */
  of(entries: Iterable<readonly [string, string]>): ParameterSet {
    const values = new Map<string, string>()
    for (const [name, value] of entries) if (isSettable(name)) values.set(name.toLowerCase(), value)
    return this.#intern(values)
  }

  /** `set` with one more or another value. */
  with(set: ParameterSet, name: string, value: string): ParameterSet {
    const key = `${name}\0${value}`
    const known = set.successors.get(key)
    if (known) return known
    const lower = name.toLowerCase()
    if (FIXED.has(lower) || set.values.get(lower) === value) return set
    const made = this.#intern(new Map(set.values).set(lower, value))
    set.successors.set(key, made)
    return made
  }

  /** `set` with other values; null: without it. Names in lower case. */
  change(set: ParameterSet, changes: Iterable<readonly [string, string | null]>): ParameterSet {
    let values: Map<string, string> | null = null
    for (const [name, value] of changes) {
      if ((set.values.get(name) ?? null) === value && values === null) continue
      if (FIXED.has(name)) continue
      values ??= new Map(set.values)
      if (value === null) values.delete(name)
      else values.set(name, value)
    }
    return values === null ? set : this.#intern(values)
  }

  /** `base` with everything of `overrides`. */
  merge(base: ParameterSet, overrides: ReadonlyMap<string, string>): ParameterSet {
    if (overrides.size === 0) return base
    return this.of([...base.values, ...overrides])
  }

  /**
   * Statements that turn a server connection carrying `from` into one carrying `to`; empty when they are the same.
   * ASCII only, so that the client_encoding of the moment is of no importance.
   */
  difference(from: ParameterSet, to: ParameterSet, dialect: Dialect): string {
    if (from === to) return ''
    const key = to.id * 4 + (dialect.isSuperuser ? 2 : 0) + (dialect.isRaw ? 1 : 0)
    const known = from.differences.get(key)
    if (known !== undefined) return known
    const sql = statementsBetween(from.values, to.values, dialect).join(';')
    from.differences.set(key, sql)
    return sql
  }

  /** Whether there are so many sets that it is worth a `sweep`. */
  get crowded(): boolean {
    return this.#sets.size > SWEEP_AT
  }

  /** Forgets every set that is not among `used`. */
  sweep(used: ReadonlySet<ParameterSet>): void {
    for (const [key, set] of this.#sets) {
      set.successors.clear()
      set.differences.clear()
      if (!used.has(set)) this.#sets.delete(key)
    }
  }

  #intern(values: Map<string, string>): ParameterSet {
    const names = [...values.keys()].sort()
    const key = names.map((name) => `${name}\0${values.get(name)}`).join('\0')
    const known = this.#sets.get(key)
    if (known) return known
    for (const name of names) if (isCustom(name)) this.customs.add(name)
    const made = new ParameterSet(this.#nextId++, new Map(names.map((name) => [name, values.get(name) ?? ''])))
    this.#sets.set(key, made)
    return made
  }
}
