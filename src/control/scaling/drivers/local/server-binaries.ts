import { readlinkSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { readTextIfExists } from './account-files.ts'
import { chooseBinaries } from './choose-binaries.ts'
import type { LocalServer } from './local-servers.ts'
import { findPostmaster } from './postmaster.ts'

/** The directory of the programs that a server runs at the moment; null: it does not run, or is not ours to look at. */
export async function runningBinaries({ directory, account }: LocalServer): Promise<string | null> {
  const running = await findPostmaster(directory, account)
  if (running === null) return null
  try {
    return dirname(readlinkSync(`/proc/${running.pid}/exe`))
  } catch {
    return null
  }
}

/**
 * The directory of programs that fit a server's data, whether it runs or not. `onProgress` is told which and why.
 *
 * @throws ConfigError or LocalClusterError as `chooseBinaries` does
 */
export async function fittingBinaries(
  { directory, account }: LocalServer,
  { environment, onProgress }: Pick<Parameters<typeof chooseBinaries>[0], 'environment' | 'onProgress'>,
): Promise<string> {
  const version = await readTextIfExists(join(directory.data, 'PG_VERSION'))
  const chosen = await chooseBinaries({
    explicit: null,
    environment,
    dataMajor: version === null ? null : Number.parseInt(version, 10),
    account,
    cacheDirectory: dirname(dirname(directory.root)),
    onProgress,
  })
  return chosen.directory
}
