import type { DatabaseFunctions } from '../../shard/database-functions.ts'
import { type CalledFunction, isBuiltIn as isBuiltInName } from '../../sql/function-calls.ts'
import type { FunctionBody } from './function-body.ts'
import { HarmfulRelations, type RelationRow } from './harmful-relations.ts'

/** A function, and what it does (null: anything). */
export interface ExaminedFunction {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly volatility: string
  readonly body: FunctionBody | null
}

/** The functions of a database that leave nothing behind in a session, and the relations that lead to others. */
export interface HarmlessFunctions extends Omit<DatabaseFunctions, 'version' | 'hasNames'> {
  /** Functions that may do anything and are called unseen, by triggers, views or the like, or by the name of a built-in one: `schema.name`. */
  readonly hidden: readonly string[]
}

/**
 * Which of all functions of a database are harmless: those that call nothing but harmless ones, wherever search_path may find
 * them, and use no relation that leads to others. A call by a name without a schema is one of all functions of that name.
 *
 * `rows`: what relations call and lead to.
 */
export function harmlessFunctions(
  functions: readonly ExaminedFunction[],
  rows: readonly RelationRow[],
): HarmlessFunctions {
  let harmful = new Set(functions.filter(({ body }) => body === null))
  spread(functions, harmful)
  // Where a body calls PostgreSQL's own, it may mean this one.
  const shadows = functions.filter((one) => harmful.has(one) && isBuiltInName(one.name))
  if (shadows.length > 0) harmful = new Set(functions)
  const relations = spreadByRelations(functions, harmful, rows)
  if (relations.everything) harmful = new Set(functions)
  const hidden = shadows.length > 0 ? shadows.map(nameOf) : hiddenOf(functions, harmful, rows)
  return { ...namesOf(functions, harmful), relations: relations.answer, hidden: hidden.sort() }
}

function namesOf(
  functions: readonly ExaminedFunction[],
  harmful: ReadonlySet<ExaminedFunction>,
): Pick<DatabaseFunctions, 'names' | 'reading' | 'qualified'> {
  const all = new Set(functions.map(({ name }) => name))
  const bad = new Set([...harmful].map(({ name }) => name))
  const badPairs = new Set([...harmful].map(pairOf))
  const pairs = new Map(functions.filter((one) => bad.has(one.name)).map((one) => [pairOf(one), one]))
  const names = [...all].filter((name) => !bad.has(name)).sort()
  const volatile = new Set(functions.filter(({ volatility }) => volatility === 'v').map(({ name }) => name))
  return {
    names,
    // On a replica PostgreSQL itself refuses what such a function should not have promised.
    reading: names.filter((name) => !volatile.has(name)),
    qualified: [...pairs]
      .filter(([pair]) => !badPairs.has(pair))
      .map(([, { schema, name }]) => [schema, name] as const)
      .sort(),
  }
}

/** Adds to `harmful` whatever uses a relation that leads to one of them, and whatever calls that. Returns those relations. */
function spreadByRelations(
  functions: readonly ExaminedFunction[],
  harmful: Set<ExaminedFunction>,
  rows: readonly RelationRow[],
): HarmfulRelations {
  for (;;) {
    const oids = new Set([...harmful].map(({ oid }) => oid))
    const relations = new HarmfulRelations(rows, (oid) => oids.has(oid))
    for (const one of functions) {
      if (one.body !== null && relations.isReachedBy(one.body.relations, one.body.writes)) harmful.add(one)
    }
    spread(functions, harmful)
    if (harmful.size === oids.size) return relations
  }
}

function hiddenOf(
  functions: readonly ExaminedFunction[],
  harmful: ReadonlySet<ExaminedFunction>,
  rows: readonly RelationRow[],
): string[] {
  const called = new Set(rows.filter(({ kind }) => !LINKING.has(kind)).map(({ other }) => other))
  const names = functions.filter((one) => harmful.has(one) && called.has(one.oid)).map(nameOf)
  return called.has(null) ? [...names, 'pg_catalog.set_config or the like'] : names
}

const LINKING: ReadonlySet<RelationRow['kind']> = new Set(['holds', 'cascades', 'truncates'])

/** Adds to `harmful` whatever calls one of them, or calls what is not there. */
function spread(functions: readonly ExaminedFunction[], harmful: Set<ExaminedFunction>): void {
  const byName = Map.groupBy(functions, ({ name }) => name)
  const isHarmful = ({ schema, name }: CalledFunction): boolean => {
    const called = (byName.get(name) ?? []).filter((one) => schema === null || one.schema === schema)
    return called.length === 0 || called.some((one) => harmful.has(one))
  }
  for (let before = -1; before < harmful.size; ) {
    before = harmful.size
    for (const one of functions) if (!harmful.has(one) && one.body?.calls.some(isHarmful)) harmful.add(one)
  }
}

const nameOf = ({ schema, name }: ExaminedFunction): string => `${schema}.${name}`

const pairOf = ({ schema, name }: ExaminedFunction): string => JSON.stringify([schema, name])
