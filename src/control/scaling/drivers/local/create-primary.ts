import { appendFile, mkdtemp, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAccountDirectory, removeTree, writePrivateFile } from './account-files.ts'
import type { PostgresBinaries } from './choose-binaries.ts'
import { LocalClusterError } from './local-cluster-error.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'
import { hbaText, passFileName, passFileText, settingsFileName } from './server-settings.ts'
import { buildingPrefix, type ShardDirectory } from './shard-directory.ts'

const initdbTimeoutMs = 120_000

/** With what a primary is made, and as whom it runs. */
export interface PrimaryOptions {
  readonly binaries: PostgresBinaries
  readonly account: ServerAccount
  readonly superuser: string
  readonly password: string
  readonly signal?: AbortSignal | undefined
}

/**
 * Creates the data directory of a cluster's first shard. It appears under its name when it is complete.
 *
 * Files are not flushed to the disk one by one (`--no-sync`): what a power failure in these seconds could take is a
 * cluster that holds nothing yet.
 *
 * @throws LocalClusterError with what initdb says
 */
export async function createPrimary(shard: ShardDirectory, options: PrimaryOptions): Promise<void> {
  const building = await mkdtemp(join(shard.root, buildingPrefix))
  try {
    await makeAccountDirectory(building, options.account)
    const data = join(building, 'data')
    await runInitdb(shard, building, data, options)
    await configure(data, options)
    await rename(data, shard.data)
  } finally {
    await removeTree(building)
  }
}

async function runInitdb(
  shard: ShardDirectory,
  building: string,
  data: string,
  options: PrimaryOptions,
): Promise<void> {
  const passwordFile = join(building, 'password')
  await writePrivateFile(passwordFile, options.password, options.account)
  const answer = await runProgram(
    join(options.binaries.directory, 'initdb'),
    [
      `--pgdata=${data}`,
      `--username=${options.superuser}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      ...localeOptions(options.binaries.major),
      '--no-sync',
      '--no-instructions',
    ],
    { account: options.account, timeoutMs: initdbTimeoutMs, signal: options.signal },
  )
  if (answer.status === 0) return
  const said = (answer.stderr.trim() || answer.stdout.trim()).split('\n').slice(-6).join('\n  ')
  throw new LocalClusterError(`initdb could not create ${shard.name} in ${shard.root}:\n  ${said}`)
}

async function configure(data: string, options: PrimaryOptions): Promise<void> {
  const { account } = options
  await writePrivateFile(join(data, 'pg_hba.conf'), hbaText, account)
  await writePrivateFile(join(data, passFileName), passFileText(options.superuser, options.password), account)
  await writePrivateFile(join(data, settingsFileName), '', account)
  await appendFile(join(data, 'postgresql.conf'), `\ninclude = '${settingsFileName}'\n`)
}

/** The same text order and character classes everywhere, whatever locales the machine has. */
function localeOptions(major: number): string[] {
  if (major < 17) return ['--locale=C']
  return ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8']
}
