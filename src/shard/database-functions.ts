/**
 * Which functions of a database leave nothing behind in the session that calls them: what control found out for the planes.
 * Only functions that are not PostgreSQL's own.
 */
export interface DatabaseFunctions {
  /** Of what was looked at: the same again means that nothing has changed. */
  readonly version: string
  /** Names under which every function, whatever its schema and arguments, is harmless. */
  readonly names: readonly string[]
  /** Of these, the names under which none is volatile: what calls nothing else may read on any copy of the data. */
  readonly reading: readonly string[]
  /** `[schema, name]`, of names that are harmless in this schema only. */
  readonly qualified: readonly (readonly [string, string])[]
}
