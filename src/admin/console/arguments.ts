import { RouterError } from '../../errors.ts'
import type { PlaneValues } from '../../shard/plane-values.ts'
import type { Token } from './tokens.ts'

/** The database that an optional argument names (word, quoted or string), or null for all. */
export function optionalDatabase(command: string, argument: readonly Token[]): string | null {
  const [name, ...rest] = argument
  if (name === undefined) return null
  if (rest.length > 0 || name.kind === 'symbol' || name.kind === 'number') {
    throw badArgument(command, `${command} takes one database name or nothing; quote a name that is not a plain word.`)
  }
  return name.value
}

/** Throws `42601` unless nothing follows the command. */
export function noArgument(command: string, argument: readonly Token[]): void {
  if (argument.length > 0) throw badArgument(command, `${command} takes no argument.`)
}

export function badArgument(command: string, message: string): RouterError {
  return new RouterError('42601', message, { origin: 'client', hint: `SHOW HELP describes ${command}.` })
}

/** Throws `3D000` when the configuration has no such database; null (all of them) is always known. */
export function requireDatabase(values: PlaneValues, database: string | null): void {
  if (database === null || values.databases.some(({ name }) => name === database || name === '*')) return
  const known = values.databases.map(({ name }) => `"${name}"`).join(', ')
  throw new RouterError('3D000', `The database "${database}" is not configured.`, {
    origin: 'client',
    hint: known === '' ? 'No database is configured.' : `Configured: ${known}.`,
  })
}
