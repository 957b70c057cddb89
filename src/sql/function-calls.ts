import { PIN } from '../memory/client-slots.ts'
import { BUILTIN_FUNCTIONS } from './builtin-functions.ts'
import { belongsOnPrimary } from './primary-functions.ts'
import { FACT } from './statement-effects.ts'

/** A function as a text names it. `schema` null: any that search_path finds first. */
export interface CalledFunction {
  readonly schema: string | null
  readonly name: string
}

const HARMLESS: ReadonlySet<string> = new Set(BUILTIN_FUNCTIONS)
const UNLOCKING: ReadonlySet<string> = new Set([
  'pg_advisory_unlock',
  'pg_advisory_unlock_shared',
  'pg_advisory_unlock_all',
])
const PINNING: ReadonlyMap<string, number> = new Map([
  ['pg_advisory_lock', PIN.advisoryLock],
  ['pg_advisory_lock_shared', PIN.advisoryLock],
  ['pg_try_advisory_lock', PIN.advisoryLock],
  ['pg_try_advisory_lock_shared', PIN.advisoryLock],
  ['nextval', PIN.sequence],
  ['setval', PIN.sequence],
  ['currval', 0],
  ['lastval', 0],
  ['set_config', PIN.setting],
  ['setseed', PIN.randomSeed],
])
const CATALOG = 'pg_catalog'

/** Whether PostgreSQL has a function of this name that statements may call and that says itself what it does. */
export const isBuiltIn = (name: string): boolean => HARMLESS.has(name) || PINNING.has(name) || UNLOCKING.has(name)

/** Sorts the calls of a text into built-in functions, of which it is known what they do, and others. */
export class FunctionCalls {
  readonly #unknown = new Map<string, CalledFunction>()
  #writes = false
  /** FACT bits. */
  flags = 0
  settingCalls = 0

  get unknown(): readonly CalledFunction[] {
    return [...this.#unknown.values()]
  }

  /** One of those since the last time writes, or is about this server. */
  takeWrites(): boolean {
    const writes = this.#writes
    this.#writes = false
    return writes
  }

  /** One more; `isSyntax`: it was written as EXTRACT(… FROM …) and the like. Returns PIN bits if it is built in. */
  add(names: readonly string[], isSyntax: boolean): number {
    const name = names.at(-1) ?? ''
    const schema = names.length > 1 ? (names.at(-2) ?? null) : null
    const mayBeBuiltIn = schema === null || schema === CATALOG
    if (schema === CATALOG && isSyntax) return 0
    const pins = mayBeBuiltIn ? PINNING.get(name) : undefined
    if (pins !== undefined) {
      this.#writes = true
      if (pins === PIN.setting) this.settingCalls++
      if (pins === 0) this.flags |= FACT.readsSequence
      return pins
    }
    if (mayBeBuiltIn && UNLOCKING.has(name)) {
      this.#writes = true
      this.flags |= FACT.frees
      return 0
    }
    if (mayBeBuiltIn && HARMLESS.has(name)) {
      if (belongsOnPrimary(name)) this.#writes = true
      return 0
    }
    const called = { schema, name }
    this.#unknown.set(JSON.stringify(called), called)
    return 0
  }
}
