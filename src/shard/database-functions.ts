/**
 * Which functions of a database leave nothing behind in the session that calls them, and which of its relations lead to some
 * that may: what control found out for the planes. Only functions that are not PostgreSQL's own.
 */
export interface DatabaseFunctions {
  /** Of what was looked at: the same again means that nothing has changed. */
  readonly version: string
  /** Whether the names of functions were asked for; if not, the lists of them are empty. */
  readonly hasNames: boolean
  /** Names under which every function, whatever its schema and arguments, is harmless. */
  readonly names: readonly string[]
  /** Of these, the names under which none is volatile: what calls nothing else may read on any copy of the data. */
  readonly reading: readonly string[]
  /** `[schema, name]`, of names that are harmless in this schema only. */
  readonly qualified: readonly (readonly [string, string])[]
  readonly relations: DatabaseRelations
}

/** Schema and name of a table or view. */
export type RelationName = readonly [schema: string, name: string]

/** What of a database calls, without being asked by name, functions that may do anything to the session. Mostly nothing. */
export interface DatabaseRelations {
  /** Whatever a statement uses may: an operator, a cast or a type does. */
  readonly everything: boolean
  /** Whatever defines, changes or drops an object: event triggers do. */
  readonly definitions: boolean
  /** Whoever reads or writes one of these. */
  readonly read: readonly RelationName[]
  /** Whoever writes one of these; reading them is harmless. */
  readonly written: readonly RelationName[]
}

/** Nothing does. */
export const NO_RELATIONS: DatabaseRelations = { everything: false, definitions: false, read: [], written: [] }
