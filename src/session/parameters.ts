/** Parameters that a server reports but no client can set: they belong to the server, not to the session. */
const FIXED = new Set([
  'server_version',
  'server_encoding',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
  'in_hot_standby',
])

/** SET would read a list in one literal as one name, so these go through set_config. */
const QUOTED_LISTS = new Set([
  'search_path',
  'temp_tablespaces',
  'session_preload_libraries',
  'local_preload_libraries',
])

/** Startup parameters that are no settings. */
export const STARTUP_KEYWORDS: ReadonlySet<string> = new Set(['user', 'database', 'options', 'replication'])

export function isSettable(name: string): boolean {
  return !FIXED.has(name.toLowerCase())
}

/**
 * Values of settings, immutable and interned: two sessions that want the same have the same object, so the common
 * question "does this server connection fit?" is one comparison. Names are lower case, sorted.
 */
export class ParameterSet {
  readonly id: number
  readonly values: ReadonlyMap<string, string>
  /** Answers of `ParameterRegistry.with`, by name and value. */
  readonly successors: Map<string, ParameterSet> = new Map()
  /** SQL from this set to another, by the other's id. */
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

  /** `set` with the values that these names have in `base`, or without them. */
  without(set: ParameterSet, names: readonly string[], base: ParameterSet): ParameterSet {
    const values = new Map(set.values)
    for (const name of names) {
      const value = base.values.get(name)
      if (value === undefined) values.delete(name)
      else values.set(name, value)
    }
    return this.#intern(values)
  }

  /** `base` with everything of `overrides`. */
  merge(base: ParameterSet, overrides: ReadonlyMap<string, string>): ParameterSet {
    if (overrides.size === 0) return base
    return this.of([...base.values, ...overrides])
  }

  /** Statements that turn a server connection carrying `from` into one carrying `to`; empty when they are the same. */
  difference(from: ParameterSet, to: ParameterSet): string {
    if (from === to) return ''
    const known = from.differences.get(to.id)
    if (known !== undefined) return known
    const statements: string[] = []
    for (const name of from.values.keys()) if (!to.values.has(name)) statements.push(`RESET ${quoteName(name)}`)
    for (const [name, value] of to.values) {
      if (from.values.get(name) !== value) statements.push(setStatement(name, value))
    }
    const sql = statements.join(';')
    from.differences.set(to.id, sql)
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
    const made = new ParameterSet(this.#nextId++, new Map(names.map((name) => [name, values.get(name) ?? ''])))
    this.#sets.set(key, made)
    return made
  }
}

function setStatement(name: string, value: string): string {
  if (QUOTED_LISTS.has(name)) return `SELECT pg_catalog.set_config(${quoteText(name)},${quoteText(value)},false)`
  return `SET ${quoteName(name)} TO ${quoteText(value)}`
}

/** `app.tenant` is two names. */
function quoteName(name: string): string {
  return name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')
}

/** Safe whatever standard_conforming_strings is. */
export function quoteText(value: string): string {
  const quoted = `'${value.replaceAll("'", "''")}'`
  return value.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted
}
