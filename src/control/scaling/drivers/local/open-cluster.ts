import { access, constants, mkdir, readFile, realpath, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import type { FileOwner } from './account-files.ts'
import { checkClusterHome, chooseClusterHome, shardsDirectory } from './cluster-home.ts'
import { type ClusterState, readClusterState } from './cluster-state.ts'
import { inspectShards, removeUnfinished, type ShardFacts } from './inspect-shards.ts'
import { systemErrorCode } from './local-cluster-error.ts'
import { accountOfData, chooseServerAccount, type ServerAccount } from './server-account.ts'

/** What is known of a cluster before any of its servers is touched. */
export interface OpenedCluster {
  readonly directory: string
  readonly home: string
  readonly account: ServerAccount
  /** Who owns the files beside the shards: password, state. */
  readonly owner: FileOwner
  readonly shards: readonly ShardFacts[]
  readonly remembered: ClusterState
}

/**
 * Makes the cluster's directory, or finds it.
 *
 * @returns its real path: servers are recognised by it
 * @throws ConfigError when this process may not use it
 */
export async function makeClusterDirectory(path: string): Promise<string> {
  try {
    // Only the last one is private: those above stay passable for the servers' account.
    await mkdir(dirname(resolve(path)), { recursive: true })
    await mkdir(path, { recursive: true, mode: 0o700 })
    await access(path, constants.R_OK | constants.W_OK | constants.X_OK)
    return await realpath(path)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code !== 'EACCES' && code !== 'EPERM' && code !== 'EROFS' && code !== 'ENOTDIR' && code !== 'EEXIST')
      throw error
    throw new ConfigError(
      `The data directory ${path} cannot be used by uid ${process.getuid?.()} (${code}). ` +
        'Start Switchyard as the user it belongs to, or choose another --data directory.',
    )
  }
}

/**
 * Finds out what there is of a cluster in `directory`, who runs its servers and where they are, and prepares that place.
 * Unfinished constructions of earlier starts are removed.
 *
 * @throws ConfigError when there is something that this process cannot work with
 */
export async function openCluster(directory: string, onProgress: (message: string) => void): Promise<OpenedCluster> {
  const state = await readClusterState(directory)
  const home = state?.home ?? null
  if (home !== null && !(await isDirectory(home))) {
    throw new ConfigError(
      `The data of this cluster was in ${home} (says ${directory}/cluster.json), and that is gone. Bring it back, or ` +
        'remove cluster.json and the file password to begin a new cluster.',
    )
  }
  const shards = await inspectShards(shardsDirectory(home ?? directory))
  const account = await accountFor(shards)
  const first = shards[0]
  const known = home ?? (first === undefined ? null : directory)
  if (known !== null) await checkClusterHome(known, account)
  const place = known ?? (await chooseClusterHome(directory, account, onProgress))
  for (const { shard } of shards) await removeUnfinished(shard)
  return {
    directory,
    home: place,
    account,
    owner: await clusterOwner(directory),
    shards,
    remembered: { home: place === directory ? null : place, ports: state?.ports ?? {} },
  }
}

async function accountFor(shards: readonly ShardFacts[]): Promise<ServerAccount> {
  const passwd = await readFile('/etc/passwd', 'utf8')
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const first = shards[0]
  if (first === undefined) return chooseServerAccount(self, passwd)
  const { uid, gid } = await stat(first.shard.data)
  return accountOfData(self, { uid, gid, path: first.shard.data }, passwd)
}

/** Who owns the files in a cluster's directory: root that manages another user's cluster leaves them to that user. */
export async function clusterOwner(directory: string): Promise<FileOwner> {
  const { uid, gid } = await stat(directory)
  return { uid, gid, switched: process.getuid?.() === 0 && uid !== 0 }
}

async function isDirectory(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory()
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return false
    throw error
  }
}
