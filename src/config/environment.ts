import { resolve } from 'node:path'
import type { AnyKey } from './key.ts'
import { ConfigProblems } from './problems.ts'
import { isTable, own, type RawTable } from './read-section.ts'
import { schema } from './schema.ts'

/** `process.env`, or what a test puts in its place. */
export type Environment = Readonly<Record<string, string | undefined>>

interface Override {
  readonly variable: string
  readonly section: string
  readonly name: string
  readonly key: AnyKey
  /** The text as TOML would hold it. */
  readonly toToml: (value: string) => unknown
}

const toInteger = (value: string): unknown => (/^\d+$/.test(value) ? Number(value) : value)

/** The variables that stand above the file. */
export const overrides: readonly Override[] = [
  {
    variable: 'SWITCHYARD_PORT',
    section: schema.listen.path,
    name: 'port',
    key: schema.listen.keys.port,
    toToml: toInteger,
  },
  {
    variable: 'SWITCHYARD_HTTP_PORT',
    section: schema.http.path,
    name: 'port',
    key: schema.http.keys.port,
    toToml: toInteger,
  },
  {
    variable: 'SWITCHYARD_DATA',
    section: schema.data.path,
    name: 'directory',
    key: schema.data.keys.directory,
    // Whoever sets the variable thinks of the working directory, not of the file's.
    toToml: (value) => resolve(value),
  },
]

/** `root` with the values of the environment in it; wrong ones are reported and left out. Empty means not set. */
export function applyEnvironment(root: RawTable, environment: Environment, problems: ConfigProblems): RawTable {
  let result = root
  for (const { variable, section, name, key, toToml } of overrides) {
    const text = environment[variable]
    if (text === undefined || text === '') continue
    const value = toToml(text)
    const reading = key.type.read(value, { directory: '/', readFile: () => '' })
    if (!reading.ok) {
      problems.addVariable(variable, text, key)
      continue
    }
    const table = own(result, section) ?? {}
    if (isTable(table)) result = { ...result, [section]: { ...table, [name]: value } }
  }
  return result
}

/** What the environment says about a start without a configuration file; undefined where it says nothing. */
export interface EnvironmentValues {
  readonly port: number | undefined
  readonly httpPort: number | undefined
  /** Absolute. */
  readonly dataDirectory: string | undefined
}

/** The overrides alone, checked. Throws a ConfigError that names each variable that is wrong. */
export function readEnvironment(environment: Environment): EnvironmentValues {
  const problems = new ConfigProblems('the environment')
  const root = applyEnvironment({}, environment, problems)
  problems.throwIfAny()
  const value = (section: string, name: string): unknown => {
    const table = own(root, section)
    return isTable(table) ? own(table, name) : undefined
  }
  return {
    port: value('listen', 'port') as number | undefined,
    httpPort: value('http', 'port') as number | undefined,
    dataDirectory: value('data', 'directory') as string | undefined,
  }
}
