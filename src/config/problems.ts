import { ConfigError } from '../errors.ts'
import type { AnyKey } from './key.ts'
import { closest } from './suggestion.ts'
import { assignment, keyPart } from './toml-text.ts'

const shownCharacters = 60

/** Collects everything that is wrong with one configuration, one sentence each, to be told at once. */
export class ConfigProblems {
  readonly #file: string
  readonly #sentences: string[] = []
  readonly #places = new Set<string>()

  /** `file`: how the operator named the file. */
  constructor(file: string) {
    this.#file = file
  }

  /** Something at `place` (a key's or section's full name) is wrong; `sentence` goes on after the file's name. */
  add(place: string, sentence: string): void {
    this.#places.add(place)
    this.#sentences.push(`${this.#file}: ${sentence}`)
  }

  /** The value `found` at `place` cannot be one of `key`; `because` is null where the type's own words say why. */
  addValue(place: string, name: string, key: AnyKey, found: unknown, because: string | null): void {
    const reason = because ?? `it must be ${key.type.allowed}`
    this.add(
      place,
      `${place} is ${describeFound(found, key.type.secret)}, but ${reason}; ${toWrite(name, key, found)}.`,
    )
  }

  /** Nothing stands at `place`, and it cannot stay so. */
  addMissing(place: string, name: string, key: AnyKey): void {
    this.add(place, `${place} is missing, and must be ${key.type.allowed}; ${toWrite(name, key)}.`)
  }

  /** A value that did not come from the file. */
  addVariable(variable: string, found: string, key: AnyKey): void {
    this.#places.add(variable)
    const example = String(key.example)
    this.#sentences.push(
      `${variable} in the environment is ${describeFound(found, false)}, but it must be ${key.type.allowed}; ` +
        `write for example ${variable}=${example}.`,
    )
  }

  /** Whether something at or below one of `places` was complained about: checks that read it would mislead. */
  touches(...places: readonly string[]): boolean {
    return [...this.#places].some((each) =>
      places.some((place) => each === place || each.startsWith(`${place}.`) || each.startsWith(`${place}[`)),
    )
  }

  get sentences(): readonly string[] {
    return this.#sentences
  }

  /** Throws a ConfigError with one line for each problem, unless there is none. */
  throwIfAny(): void {
    if (this.#sentences.length > 0) throw new ConfigError(this.#sentences.join('\n'))
  }
}

function toWrite(name: string, key: AnyKey, found?: unknown): string {
  const meant = typeof found === 'string' ? closest(found, key.type.words ?? []) : null
  return `write for example ${assignment(name, meant ?? key.example)}`
}

/** What stands in the file, in few characters, and never a secret. */
export function describeFound(found: unknown, isSecret: boolean): string {
  if (found instanceof Date) return 'a date'
  if (Array.isArray(found)) return found.length === 0 ? 'an empty array' : describeArray(found, isSecret)
  if (typeof found === 'object' && found !== null) return 'a table'
  if (typeof found === 'string') {
    if (found === '') return 'an empty text'
    if (isSecret) return 'a text (not shown here)'
    return JSON.stringify(found.length > shownCharacters ? `${found.slice(0, shownCharacters)}…` : found)
  }
  return isSecret ? `a ${typeof found}` : String(found)
}

function describeArray(found: readonly unknown[], isSecret: boolean): string {
  // Tables may hold secrets under any name.
  const isPlain = !isSecret && found.every((each) => typeof each !== 'object')
  const text = isPlain ? JSON.stringify(found) : ''
  return text === '' || text.length > shownCharacters ? `an array of ${found.length}` : text.replaceAll(',', ', ')
}

/** Names in a sentence: `"a", "b" and "c"`. */
export function enumerate(names: readonly string[]): string {
  const quoted = names.map(keyPart)
  return quoted.length < 2 ? quoted.join('') : `${quoted.slice(0, -1).join(', ')} and ${quoted.at(-1)}`
}
