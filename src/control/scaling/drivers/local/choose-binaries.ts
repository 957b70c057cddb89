import { access, constants, readdir } from 'node:fs/promises'
import { isAbsolute, join, resolve } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import { embeddedPackageName, findEmbeddedPackage, prepareEmbeddedBinaries } from './embedded-binaries.ts'
import { LocalClusterError, reasonOf, systemErrorCode } from './local-cluster-error.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'

/** PostgreSQL's programs, tested to run as the servers' account. */
export interface PostgresBinaries {
  /** Directory with `postgres` and `initdb`. */
  readonly directory: string
  /** As `postgres --version` says: `18.4`, `19beta1`. */
  readonly version: string
  readonly major: number
}

/** What PostgreSQL is looked for, and for whom. */
export interface BinaryRequest {
  /** From the configuration; it is this or an error. */
  readonly explicit: string | null
  readonly environment: Readonly<Record<string, string | undefined>>
  /** Major version of existing data, which no other major can open; null for a new cluster. */
  readonly dataMajor: number | null
  readonly account: ServerAccount
  /** Where programs may be copied to if `account` cannot reach them. */
  readonly cacheDirectory: string
  /** Another package than the platform's own, for tests of several versions. */
  readonly embeddedPackage?: string
  readonly onProgress: (message: string) => void
}

/** Base backups of older majors have another syntax. */
const oldestMajor = 15

interface Candidate {
  readonly origin: string
  /** The operator's wish: when it does not fit, that is an error and nothing else is tried. */
  readonly binding: boolean
  locate(): Promise<string>
}

/**
 * Decides which PostgreSQL runs the local shards, and says which and why: the configured directory, the environment
 * variable SWITCHYARD_PG_BIN, the embedded package, the newest that the system has; of the last two the first one
 * whose major version fits existing data.
 *
 * @throws ConfigError when an explicit choice does not fit
 * @throws LocalClusterError naming every candidate and what is wrong with it when none fits
 */
export async function chooseBinaries(request: BinaryRequest): Promise<PostgresBinaries> {
  const rejected: string[] = []
  for (const candidate of await candidates(request)) {
    const verdict = await examine(candidate, request)
    if (typeof verdict !== 'string') {
      const reason = rejected.length === 0 ? '' : ` (${rejected.join('; ')})`
      request.onProgress(`Using PostgreSQL ${verdict.version} of ${candidate.origin}, ${verdict.directory}${reason}.`)
      return verdict
    }
    if (candidate.binding) throw new ConfigError(`The PostgreSQL of ${candidate.origin} cannot be used: ${verdict}.`)
    rejected.push(`not ${candidate.origin}: ${verdict}`)
  }
  const wanted = request.dataMajor === null ? `${oldestMajor} or newer` : `${request.dataMajor}, which the data is of,`
  throw new LocalClusterError(
    `No PostgreSQL ${wanted} was found: ${rejected.join('; ')}. ` +
      'Install one and name its bin directory in the environment variable SWITCHYARD_PG_BIN.',
  )
}

async function candidates(request: BinaryRequest): Promise<Candidate[]> {
  if (request.explicit !== null) return [directoryCandidate('the configuration', request.explicit, true)]
  const fromEnvironment = request.environment.SWITCHYARD_PG_BIN
  if (fromEnvironment !== undefined && fromEnvironment !== '') {
    return [directoryCandidate('SWITCHYARD_PG_BIN', fromEnvironment, true)]
  }
  const name = request.embeddedPackage ?? embeddedPackageName(process.arch)
  const embedded: Candidate = {
    origin: `the package ${name}`,
    binding: false,
    locate: async () => prepareEmbeddedBinaries(await findEmbeddedPackage(name), request),
  }
  const system = await systemDirectories(request.environment.PATH ?? '')
  return [embedded, ...system.map((directory) => directoryCandidate('this system', directory, false))]
}

function directoryCandidate(origin: string, directory: string, binding: boolean): Candidate {
  return { origin, binding, locate: () => Promise.resolve(resolve(directory)) }
}

/** The binaries, or why not. */
async function examine(candidate: Candidate, request: BinaryRequest): Promise<PostgresBinaries | string> {
  try {
    const directory = await candidate.locate()
    await access(join(directory, 'initdb'), constants.X_OK)
    const answer = await runProgram(join(directory, 'postgres'), ['--version'], {
      account: request.account,
      timeoutMs: 10_000,
    })
    if (answer.status !== 0) return `postgres --version failed: ${answer.stderr.trim()}`
    const version = /^postgres \(PostgreSQL\) (\S+)/.exec(answer.stdout)?.[1]
    if (version === undefined) return `postgres --version answers ${JSON.stringify(answer.stdout)}`
    const major = Number.parseInt(version, 10)
    if (request.dataMajor !== null && major !== request.dataMajor) {
      return `it is PostgreSQL ${version} (${directory}), and the data is of PostgreSQL ${request.dataMajor}`
    }
    if (major < oldestMajor)
      return `it is PostgreSQL ${version} (${directory}), and ${oldestMajor} is the oldest that can`
    return { directory, version, major }
  } catch (error) {
    return reasonOf(error).replace(/\.$/, '')
  }
}

/** Directories of the system that may hold PostgreSQL, newest major first, then those of PATH. */
async function systemDirectories(path: string): Promise<string[]> {
  const versioned: { major: number; directory: string }[] = []
  for (const name of await list('/usr/lib/postgresql')) {
    versioned.push({ major: Number.parseInt(name, 10), directory: join('/usr/lib/postgresql', name, 'bin') })
  }
  for (const name of await list('/usr')) {
    const major = /^pgsql-(\d+)$/.exec(name)?.[1]
    if (major !== undefined) versioned.push({ major: Number(major), directory: join('/usr', name, 'bin') })
  }
  versioned.sort((a, b) => b.major - a.major)
  const found = versioned.map((entry) => entry.directory)
  for (const directory of path.split(':').filter(isAbsolute)) {
    if (!found.includes(directory) && (await list(directory)).includes('initdb')) found.push(directory)
  }
  return found
}

async function list(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR' || code === 'EACCES') return []
    throw error
  }
}
