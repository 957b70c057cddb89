import { type CalledFunction, isBuiltIn as isBuiltInName } from '../../sql/function-calls.ts'
import type { FunctionBody } from './function-body.ts'

/** A function, what it does (null: anything), and whether something else than statements may call it. */
export interface ExaminedFunction {
  readonly oid: string
  readonly schema: string
  readonly name: string
  readonly volatility: string
  readonly body: FunctionBody | null
}

/**
 * The functions of a database that leave nothing behind in a session: `names` however they are called, of those `reading` write
 * nothing either, `qualified` as schema and name only.
 */
export interface HarmlessFunctions {
  readonly names: readonly string[]
  readonly reading: readonly string[]
  readonly qualified: readonly (readonly [string, string])[]
  /** Functions that may do anything and are called unseen, by triggers, views or the like, or by the name of a built-in one: `schema.name`. */
  readonly hidden: readonly string[]
}

/**
 * Which of all functions of a database are harmless: those that call nothing but harmless ones, wherever search_path may find
 * them. A call by a name without a schema is one of all functions of that name.
 *
 * `calledUnseen`: oids of functions that triggers, views, operators and the like call. `isQuiet`: none of these calls a built-in
 * function that leaves something behind. Functions that use tables are harmless only where nothing of that kind is harmful.
 */
export function harmlessFunctions(
  functions: readonly ExaminedFunction[],
  calledUnseen: ReadonlySet<string>,
  isQuiet: boolean,
): HarmlessFunctions {
  const harmful = spread(functions, new Set(functions.filter(({ body }) => body === null)))
  // Where a body calls PostgreSQL's own, it may mean this one.
  const shadows = functions.filter((one) => harmful.has(one) && isBuiltInName(one.name))
  if (shadows.length > 0) return { names: [], reading: [], qualified: [], hidden: shadows.map(nameOf) }
  const hidden = functions.filter((one) => harmful.has(one) && calledUnseen.has(one.oid))
  if (!isQuiet || hidden.length > 0) {
    for (const one of functions) if (one.body?.usesRelations) harmful.add(one)
    spread(functions, harmful)
  }
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
    hidden: hidden.map(nameOf).sort(),
  }
}

/** Adds to `harmful` whatever calls one of them, or calls what is not there. */
function spread(functions: readonly ExaminedFunction[], harmful: Set<ExaminedFunction>): Set<ExaminedFunction> {
  const byName = Map.groupBy(functions, ({ name }) => name)
  const isHarmful = ({ schema, name }: CalledFunction): boolean => {
    const called = (byName.get(name) ?? []).filter((one) => schema === null || one.schema === schema)
    return called.length === 0 || called.some((one) => harmful.has(one))
  }
  for (let before = -1; before < harmful.size; ) {
    before = harmful.size
    for (const one of functions) if (!harmful.has(one) && one.body?.calls.some(isHarmful)) harmful.add(one)
  }
  return harmful
}

const nameOf = ({ schema, name }: ExaminedFunction): string => `${schema}.${name}`

const pairOf = ({ schema, name }: ExaminedFunction): string => JSON.stringify([schema, name])
