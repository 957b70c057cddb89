import { tierHigh, tierRules } from './schema/tiers.ts'
import { assignment } from './toml-text.ts'

const who = ['user', 'database', 'application']
/** Other words for keys of a rule. */
const aliases: Readonly<Record<string, string>> = { slots: 'max', max_slots: 'max', queue_timeout: 'queue_wait' }

/**
 * What to do about a key of a tier that stands where tiers are not decided: for a user or a database, or, if it only makes
 * sense for a whole tier, in a rule. `table`: what it stands in, `entry`: that table's name in a `[section.NAME]`. The end of a
 * sentence, or null when it is no such key.
 */
export function adviceOnTierKey(
  section: string,
  name: string,
  table: { readonly [key: string]: unknown },
  entry: string | null,
): string | null {
  if (section === 'tiers.rules') return tierOnly(name, table)
  const key = aliases[name] ?? name
  if (who.includes(key) || !Object.hasOwn(tierRules.keys, key)) return null
  const subject = section === 'users' ? table.name : entry
  if ((section !== 'users' && section !== 'databases') || typeof subject !== 'string') return null
  const field = section === 'users' ? 'user' : 'database'
  return `write [[tiers.rules]] with ${assignment(field, subject)} and ${assignment(key, table[name])}`
}

function tierOnly(name: string, { tier }: { readonly [key: string]: unknown }): string | null {
  if (!Object.hasOwn(tierHigh.keys, name)) return null
  const home = typeof tier === 'string' ? tier : 'high'
  return `it holds for whole tiers only, so give these clients one with tier = "${home}" and write ${name} in [tiers.${home}]`
}
