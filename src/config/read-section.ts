import type { AnyKey, AnySection, Keys } from './key.ts'
import { propertyName } from './key.ts'
import { adviceOnTierKey } from './misplaced-key.ts'
import type { ConfigProblems } from './problems.ts'
import { describeFound } from './problems.ts'
import { passwordOf } from './referenced-file.ts'
import { suggestKey } from './suggestion.ts'
import { keyPath } from './toml-text.ts'
import type { ReadContext } from './value-type.ts'

// NAMEDATALEN - 1: https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS
const maxNameBytes = 63

/** A TOML table as the parser gives it. */
export type RawTable = { readonly [name: string]: unknown }

/** What reading needs beside the value: where to complain, and what else there is in the file. */
export interface SectionReader {
  readonly problems: ConfigProblems
  /** For what the file says. */
  readonly context: ReadContext
  /** For defaults: relative paths start elsewhere. */
  readonly defaultContext: ReadContext
  readonly sections: readonly AnySection[]
}

export function isTable(found: unknown): found is RawTable {
  return typeof found === 'object' && found !== null && !Array.isArray(found) && !(found instanceof Date)
}

/** A value of the table's own, not of `Object.prototype`: keys come from the operator. */
export function own(table: RawTable, name: string): unknown {
  return Object.hasOwn(table, name) ? table[name] : undefined
}

/**
 * What `section` becomes in `Config`. Problems are reported, not thrown; a value that is wrong is replaced by the
 * default, an entry that lacks what it must have is left out, so that the other checks can go on.
 */
export function readSection(section: AnySection, root: RawTable, reader: SectionReader): unknown {
  const raw = section.path.split('.').reduce<unknown>((at, part) => (isTable(at) ? own(at, part) : undefined), root)
  if (section.form === 'table') return readTable(section, section.path, raw ?? {}, reader).values
  if (section.form === 'list') return readList(section, raw ?? [], reader)
  return readNamed(section, raw ?? {}, reader)
}

function readList(section: AnySection, raw: unknown, reader: SectionReader): readonly unknown[] {
  if (!Array.isArray(raw)) {
    reader.problems.add(section.path, `${section.path} is ${describeFound(raw, false)}, but ${wantedForm(section)}.`)
    return []
  }
  return raw.flatMap((entry, index) => {
    const { values, isComplete } = readTable(section, `${section.path}[${index}]`, entry, reader)
    return isComplete ? [values] : []
  })
}

function readNamed(section: AnySection, raw: unknown, reader: SectionReader): readonly unknown[] {
  if (!isTable(raw)) {
    reader.problems.add(section.path, `${section.path} is ${describeFound(raw, false)}, but ${wantedForm(section)}.`)
    return []
  }
  return Object.entries(raw).flatMap(([name, entry]) => {
    const place = keyPath(section.path, name)
    if (name === '' || Buffer.byteLength(name) > maxNameBytes) {
      reader.problems.add(place, `${place} is not a name that clients can ask for; write one of 1 to 63 bytes.`)
    }
    const { values, isComplete } = readTable(section, place, entry, reader, name)
    return isComplete ? [{ entry: name, ...values }] : []
  })
}

function wantedForm(section: AnySection): string {
  if (section.form === 'list') return `it must be an array of tables; write [[${section.path}]] above each of them`
  if (section.form === 'named') return `it must be a table; write [${section.path}.NAME] above its keys`
  return `it must be a table; write [${section.path}] above its keys`
}

interface TableReading {
  /** Defaults stand where nothing usable was written; a required key may be undefined. */
  readonly values: Record<string, unknown>
  /** False: it is no table, or a required key has no value. */
  readonly isComplete: boolean
}

function readTable(
  section: AnySection,
  place: string,
  raw: unknown,
  reader: SectionReader,
  entry: string | null = null,
): TableReading {
  const values: Record<string, unknown> = {}
  if (!isTable(raw)) {
    reader.problems.add(place, `${place} is ${describeFound(raw, false)}, but ${wantedForm(section)}.`)
    for (const [name, key] of Object.entries(section.keys)) {
      values[propertyName(name, key)] = absentValue(key, reader.defaultContext)
    }
    return { values, isComplete: false }
  }
  reportUnknownKeys(section, place, raw, entry, reader)
  let isComplete = true
  for (const [name, key] of Object.entries(section.keys)) {
    const value = readKey(name, key, place, own(raw, name), reader)
    if (value === undefined) isComplete = false
    values[propertyName(name, key)] = value
  }
  readPasswordFiles(section.keys, place, raw, values, reader)
  return { values, isComplete }
}

/** Undefined: there is no value, and the problem has been reported. */
function readKey(name: string, key: AnyKey, place: string, found: unknown, reader: SectionReader): unknown {
  const full = keyPath(place, name)
  if (found !== undefined) {
    const reading = key.type.read(found, reader.context)
    if (reading.ok) return reading.value
    reader.problems.addValue(full, name, key, found, reading.because)
  } else if (key.presence === 'required') {
    reader.problems.addMissing(full, name, key)
  }
  return absentValue(key, reader.defaultContext)
}

/** What a key is when nothing is written: its default, null for an optional one, undefined for a required one. */
export function absentValue(key: AnyKey, context: ReadContext): unknown {
  if (key.presence !== 'default') return key.presence === 'optional' ? null : undefined
  const reading = key.type.read(key.default, context)
  if (!reading.ok) throw new Error(`the default ${String(key.default)} is not ${key.type.allowed}`)
  return reading.value
}

// `password_file = "…"` stands for `password = "…"`, for every secret that has such a neighbour.
function readPasswordFiles(
  keys: Keys,
  place: string,
  raw: RawTable,
  values: Record<string, unknown>,
  reader: SectionReader,
): void {
  for (const [name, key] of Object.entries(keys)) {
    const fileKey = Object.hasOwn(keys, `${name}_file`) ? keys[`${name}_file`] : undefined
    if (!key.type.secret || fileKey === undefined) continue
    const file = values[propertyName(`${name}_file`, fileKey)]
    if (typeof file !== 'string') continue
    const full = keyPath(place, `${name}_file`)
    if (own(raw, name) !== undefined) {
      reader.problems.add(full, `${full} and ${keyPath(place, name)} are both set; remove one of them.`)
      continue
    }
    const reading = key.type.read(passwordOf(reader.context.readFile(file)), reader.context)
    if (reading.ok) values[propertyName(name, key)] = reading.value
    else reader.problems.add(full, `${full} names ${file}, but what it holds must be ${key.type.allowed}.`)
  }
}

function reportUnknownKeys(
  section: AnySection,
  place: string,
  raw: RawTable,
  entry: string | null,
  reader: SectionReader,
): void {
  const parts = reader.sections.flatMap(({ path }) =>
    path.startsWith(`${section.path}.`) ? [path.slice(section.path.length + 1)] : [],
  )
  const known = [...Object.keys(section.keys), ...parts]
  for (const name of Object.keys(raw).filter((each) => !known.includes(each))) {
    const full = keyPath(place, name)
    const suggestion = suggestKey(name, section.path, place, reader.sections)
    const advice =
      adviceOnTierKey(section.path, name, raw, entry) ??
      (suggestion === null ? 'remove it' : `did you mean ${suggestion}?`)
    reader.problems.add(
      full,
      `${full} is not a known key (the keys here are ${known.join(', ')}); ${advice}`.replace(/[^?]$/, '$&.'),
    )
  }
}

/** Complains about everything at the top of the file that is no section. */
export function reportUnknownSections(root: RawTable, reader: SectionReader): void {
  const known = [...new Set(reader.sections.map(({ path }) => path.split('.')[0] ?? path))]
  for (const name of Object.keys(root).filter((each) => !known.includes(each))) {
    const full = keyPath('', name)
    const suggestion = suggestKey(name, '', '', reader.sections)
    const advice = suggestion === null ? 'remove it.' : `did you mean ${suggestion}?`
    const kind = isTable(root[name]) || Array.isArray(root[name]) ? 'section' : 'key outside of a section'
    reader.problems.add(full, `${full} is not a known ${kind} (the sections are ${known.join(', ')}); ${advice}`)
  }
}
