import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { parse, TomlError } from 'smol-toml'
import { ConfigError } from '../errors.ts'
import { checkAccess } from './check-access.ts'
import { checkListeners } from './check-listeners.ts'
import { checkRouting } from './check-routing.ts'
import { checkScaling } from './check-scaling.ts'
import { checkTiers } from './check-tiers.ts'
import { deepFreeze } from './deep-freeze.ts'
import { applyEnvironment, type Environment } from './environment.ts'
import { ConfigProblems } from './problems.ts'
import { type RawTable, readSection, reportUnknownSections, type SectionReader } from './read-section.ts'
import { readFailure } from './referenced-file.ts'
import { type Config, schema, sections } from './schema.ts'

/** Where a configuration comes from. */
export interface ConfigSource {
  /** As the operator named it; begins every message. */
  readonly file: string
  /** Absolute; relative paths in the file start here. */
  readonly directory: string
  readonly environment: Environment
  /** Reads the files that the configuration names; node's by default. */
  readonly readFile?: (path: string) => string
}

/**
 * Reads the configuration file at `path`, and the files it names. Throws a ConfigError with one line for each thing
 * that is wrong.
 */
export function loadConfig(path: string, environment: Environment): Config {
  let text: string
  try {
    text = readText(path)
  } catch (error) {
    throw new ConfigError(
      `${path}: the configuration file cannot be read (${readFailure(error)}); give the path of a TOML file that ` +
        'Switchyard may read, config/example.toml is one to start from.',
    )
  }
  return parseConfig(text, { file: path, directory: dirname(resolve(path)), environment })
}

/** The configuration in `text`, which is TOML. Throws like `loadConfig`. */
export function parseConfig(text: string, source: ConfigSource): Config {
  let root: RawTable
  try {
    root = parse(text.replace(/^\uFEFF/, ''))
  } catch (error) {
    if (!(error instanceof TomlError)) throw error
    const [complaint = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n')
    throw new ConfigError(
      `${source.file}: line ${error.line}, column ${error.column} is not valid TOML (${complaint}); ` +
        'correct it there, everything after it was not read.',
    )
  }
  return buildConfig(root, source)
}

/** The configuration in `root`, which is what a TOML parser would give. Throws like `loadConfig`. */
export function buildConfig(root: RawTable, source: ConfigSource): Config {
  const problems = new ConfigProblems(source.file)
  const readFile = once(source.readFile ?? readText)
  const reader: SectionReader = {
    problems,
    sections,
    context: { directory: source.directory, readFile },
    defaultContext: { directory: resolve('.'), readFile },
  }
  const withEnvironment = applyEnvironment(root, source.environment, problems)
  reportUnknownSections(withEnvironment, reader)
  const values: Record<string, unknown> = { file: source.file }
  for (const [name, section] of Object.entries(schema)) values[name] = readSection(section, withEnvironment, reader)
  // The one place where the types that `schema` declares are taken for granted: each value above was read by its type.
  const config = values as unknown as Config
  for (const check of [checkListeners, checkAccess, checkRouting, checkTiers, checkScaling]) check(config, problems)
  problems.throwIfAny()
  return deepFreeze(withImpliedEntries(config))
}

/** What stands for sections that may be left out. */
function withImpliedEntries(config: Config): Config {
  return {
    ...config,
    hba: config.hba.length > 0 ? config.hba : [impliedRule('local'), impliedRule('host')],
    databases: config.databases.length > 0 ? config.databases : [impliedDatabase(config.shards[0]?.group ?? 'main')],
  }
}

function impliedRule(type: 'local' | 'host'): Config['hba'][number] {
  return { type, database: ['all', 'replication'], user: ['all'], address: ['all'], method: 'scram-sha-256' }
}

function impliedDatabase(group: string): Config['databases'][number] {
  return {
    entry: '*',
    group,
    name: null,
    role: 'primary',
    user: null,
    password: null,
    passwordFile: null,
    poolMode: null,
    poolSize: null,
    minPoolSize: null,
    maxClients: null,
  }
}

// A file may be replaced while it is read twice; the check and the value are to be of one text.
function once(read: (path: string) => string): (path: string) => string {
  const texts = new Map<string, string>()
  return (path) => {
    const text = texts.get(path) ?? read(path)
    texts.set(path, text)
    return text
  }
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}
