import type { Unit, ValueType } from './value-type.ts'

/** `default`: has a value when not written. `optional`: null when not written. `required`: must be written. */
export type Presence = 'default' | 'optional' | 'required'

/** Whether a new value applies at RELOAD, or with the next start. */
export type Changeable = 'yes' | 'restart'

/** Everything that is known of one configuration key: validation, documentation and `SHOW CONFIG` come from it. */
export interface Key<V, U extends Unit, P extends Presence> {
  readonly type: ValueType<V, U>
  readonly presence: P
  /** In TOML's terms (`'30s'`, not 30000); undefined unless presence is `default`. Read by `type` like a written value. */
  readonly default: unknown
  /** In TOML's terms: what messages and documents show as a way to write it. */
  readonly example: unknown
  readonly doc: string
  readonly changeable: Changeable
  /** PgBouncer's name for it, if it has one. */
  readonly pgbouncer: string | null
}

interface KeyText {
  readonly doc: string
  readonly changeable?: Changeable
  readonly pgbouncer?: string
}

export type AnyKey = Key<unknown, Unit, Presence>
export type Keys = { readonly [name: string]: AnyKey }

/** A key with a default, given as one would write it in the file. */
export function setting<V, U extends Unit>(
  type: ValueType<V, U>,
  about: KeyText & { readonly default: unknown; readonly example?: unknown },
): Key<V, U, 'default'> {
  return {
    ...common(type, about),
    presence: 'default',
    default: about.default,
    example: about.example ?? about.default,
  }
}

/** A key that may be left out; its absence is a value of its own, null. */
export function optional<V, U extends Unit>(
  type: ValueType<V, U>,
  about: KeyText & { readonly example: unknown },
): Key<V, U, 'optional'> {
  return { ...common(type, about), presence: 'optional', default: undefined, example: about.example }
}

/** A key without which the file is not complete. */
export function required<V, U extends Unit>(
  type: ValueType<V, U>,
  about: KeyText & { readonly example: unknown },
): Key<V, U, 'required'> {
  return { ...common(type, about), presence: 'required', default: undefined, example: about.example }
}

function common<V, U extends Unit>(type: ValueType<V, U>, about: KeyText) {
  return { type, doc: about.doc, changeable: about.changeable ?? 'yes', pgbouncer: about.pgbouncer ?? null }
}

/** `table`: `[listen]`. `list`: `[[shards]]`. `named`: `[databases.NAME]`. */
export type SectionForm = 'table' | 'list' | 'named'

/** A part of the file. */
export interface Section<K extends Keys, F extends SectionForm> {
  readonly form: F
  /** In the file: `auth.hba`. */
  readonly path: string
  readonly doc: string
  readonly keys: K
  /** The key that tells the entries of a list apart. */
  readonly entryName: string | null
}

export type AnySection = Section<Keys, SectionForm>

/** `[path]` */
export function table<K extends Keys>(path: string, doc: string, keys: K): Section<K, 'table'> {
  return { form: 'table', path, doc, keys, entryName: null }
}

/** `[[path]]`, any number of times. `entryName` is the key that tells the entries apart; null: their order does. */
export function entries<K extends Keys>(
  path: string,
  entryName: (keyof K & string) | null,
  doc: string,
  keys: K,
): Section<K, 'list'> {
  return { form: 'list', path, doc, keys, entryName }
}

/** `[path.NAME]`, any number of times. */
export function namedTables<K extends Keys>(path: string, doc: string, keys: K): Section<K, 'named'> {
  return { form: 'named', path, doc, keys, entryName: null }
}

type CamelCase<S extends string> = S extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : S

type PropertyName<Name extends string, U extends Unit> = Name extends `${string}_bytes`
  ? CamelCase<Name>
  : `${CamelCase<Name>}${U}`

type KeyValue<K> = K extends Key<infer V, Unit, infer P> ? (P extends 'optional' ? V | null : V) : never
type KeyUnit<K> = K extends Key<unknown, infer U, Presence> ? U : never

/** The properties of `Config` that a table's keys become. */
export type TableValue<K extends Keys> = {
  readonly [Name in keyof K & string as PropertyName<Name, KeyUnit<K[Name]>>]: KeyValue<K[Name]>
}

/** What a section becomes in `Config`. `entry` is the NAME of a `[path.NAME]`. */
export type SectionValue<S> =
  S extends Section<infer K, infer F>
    ? F extends 'table'
      ? TableValue<K>
      : F extends 'named'
        ? readonly (TableValue<K> & { readonly entry: string })[]
        : readonly TableValue<K>[]
    : never

/** The property of `Config` for the key `name`: `query_wait`, a duration → `queryWaitMs`. */
export function propertyName(name: string, key: AnyKey): string {
  const camel = name.replace(/_(.)/g, (_, letter: string) => letter.toUpperCase())
  return name.endsWith('_bytes') ? camel : camel + key.type.unit
}
