import type { DatabaseRelations, RelationName } from '../../shard/database-functions.ts'
import type { NamedRelation } from '../../sql/tree-facts.ts'

/**
 * What may be called, or used, by whoever uses a relation. `relation`, `schema` and `name` are null where it is none.
 *
 * - reading, writing: a function, whenever the relation is used, or written; `other` is its oid, null: one of PostgreSQL's own
 *   that leaves something behind.
 * - truncating: the same by TRUNCATE, which may be another table's with CASCADE.
 * - defining, everything: the same by event triggers; by operators, casts and types.
 * - holds: another relation, whose oid is `other`, is used in the same way: a view's table, a partition.
 * - cascades, truncates: another table is written when this one is, or when it is truncated.
 */
export interface RelationRow {
  readonly kind: 'reading' | 'writing' | 'truncating' | 'defining' | 'everything' | 'holds' | 'cascades' | 'truncates'
  readonly relation: string | null
  readonly schema: string | null
  readonly name: string | null
  readonly other: string | null
}

/** Which relations lead to functions that may do anything. */
export class HarmfulRelations {
  readonly everything: boolean
  readonly definitions: boolean
  readonly #read: ReadonlySet<string>
  readonly #written: ReadonlySet<string>
  readonly #byName = new Map<string, { schema: string; isRead: boolean }[]>()

  /** `isHarmful`: of a function's oid. */
  constructor(rows: readonly RelationRow[], isHarmful: (oid: string) => boolean) {
    const calls = (kind: RelationRow['kind']): RelationRow[] =>
      rows.filter((row) => row.kind === kind && (row.other === null || isHarmful(row.other)))
    const links = (...kinds: RelationRow['kind'][]): RelationRow[] => rows.filter(({ kind }) => kinds.includes(kind))
    this.everything = calls('everything').length > 0
    this.definitions = calls('defining').length > 0
    this.#read = leadingTo(calls('reading'), links('holds'))
    const truncated = leadingTo(calls('truncating'), links('truncates'))
    const written = leadingTo([...calls('reading'), ...calls('writing')], links('holds', 'cascades'))
    this.#written = new Set([...written, ...truncated])
    for (const { relation, schema, name } of rows) {
      if (relation === null || schema === null || name === null || !this.#written.has(relation)) continue
      const alike = this.#byName.get(name) ?? []
      if (!alike.some((one) => one.schema === schema)) alike.push({ schema, isRead: this.#read.has(relation) })
      this.#byName.set(name, alike)
    }
  }

  /** Whether a function that names these may do anything through them. */
  isReachedBy(relations: readonly NamedRelation[], writes: boolean): boolean {
    return relations.some(({ schema, name }) =>
      this.#byName.get(name)?.some((one) => (schema === null || schema === one.schema) && (writes || one.isRead)),
    )
  }

  get answer(): DatabaseRelations {
    const all = [...this.#byName].flatMap(([name, alike]) => alike.map((one) => ({ ...one, name })))
    const named = (isRead: boolean): RelationName[] =>
      all
        .filter((one) => one.isRead === isRead)
        .map(({ schema, name }): RelationName => [schema, name])
        .sort()
    return { everything: this.everything, definitions: this.definitions, read: named(true), written: named(false) }
  }
}

/** Those that call, and all that lead to them. */
function leadingTo(calls: readonly RelationRow[], links: readonly RelationRow[]): Set<string> {
  const found = new Set<string>()
  const fromOf = Map.groupBy(links, ({ other }) => other)
  const next = calls.map(({ relation }) => relation)
  while (next.length > 0) {
    const relation = next.pop() ?? null
    if (relation === null || found.has(relation)) continue
    found.add(relation)
    for (const link of fromOf.get(relation) ?? []) next.push(link.relation)
  }
  return found
}
