import { chmod, chown, lstat, mkdir, mkdtemp, rmdir, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import { makeAccountDirectory } from './account-files.ts'
import { reasonOf, systemErrorCode } from './local-cluster-error.ts'
import { runProgram } from './run-program.ts'
import type { ServerAccount } from './server-account.ts'

/** Where data goes, in this order, when the servers' account cannot reach the cluster's own directory. */
const alternatives = ['/var/lib/switchyard/cluster-', '/var/tmp/switchyard-']

/** The directory with all shards of a cluster. */
export function shardsDirectory(home: string): string {
  return join(home, 'shards')
}

/**
 * Makes the directory that `shards/` is in, such that servers of `account` can work there, and returns it. It is
 * `directory` itself whenever possible. A checkout of root's below a mode-700 home is out of reach for every account that
 * PostgreSQL accepts, and nobody's home is opened up for it: the data then goes to /var/lib/switchyard or /var/tmp.
 *
 * @throws ConfigError when there is no place at all
 */
export async function chooseClusterHome(
  directory: string,
  account: ServerAccount,
  onProgress: (message: string) => void,
): Promise<string> {
  await makeShardsDirectory(directory, account)
  if (!account.switched || (await isReachable(directory, account))) return directory
  if (await letGroupEnter(directory, account)) return directory
  await rmdir(shardsDirectory(directory))
  const problems: string[] = []
  for (const prefix of alternatives) {
    try {
      const home = await makeHome(prefix, directory, account)
      if (await isReachable(home, account)) {
        onProgress(
          `The data of the shards is in ${home}, since ${account.name}, who runs them, cannot enter ${directory}.`,
        )
        return home
      }
      problems.push(`${account.name} cannot enter ${home}`)
    } catch (error) {
      problems.push(reasonOf(error))
    }
  }
  throw new ConfigError(
    `PostgreSQL does not run as root, and ${account.name}, who could run it, cannot enter ${directory} ` +
      `(${problems.join('; ')}). Choose a --data directory below one that everybody may enter, such as /var/lib.`,
  )
}

/**
 * Checks that servers of `account` can still reach the shards of an existing cluster.
 *
 * @throws ConfigError when they cannot: the directory was moved, or the rights of one above it changed
 */
export async function checkClusterHome(home: string, account: ServerAccount): Promise<void> {
  if (!account.switched || (await isReachable(home, account))) return
  throw new ConfigError(
    `${account.name}, to whom the shards in ${shardsDirectory(home)} belong, cannot enter that directory. Give it the ` +
      `right to pass through all directories above it (namei -l ${home} shows them), or move ${home} where it can.`,
  )
}

/** True when `account` may enter and write to the shards' directory; asked of the system as that user. */
async function isReachable(home: string, account: ServerAccount): Promise<boolean> {
  const test = 'cd "$1" && test -w . && test -x .'
  const answer = await runProgram('/bin/sh', ['-c', test, 'sh', shardsDirectory(home)], { account, timeoutMs: 10_000 })
  return answer.status === 0
}

/** The cluster's directory is ours: if its group has no rights yet, the servers' group gets the one to pass through. */
async function letGroupEnter(directory: string, account: ServerAccount): Promise<boolean> {
  const { mode, uid, gid } = await stat(directory)
  if (uid !== 0 || (mode & 0o070) !== 0) return false
  await chown(directory, uid, account.gid)
  await chmod(directory, (mode & 0o7777) | 0o010)
  if (await isReachable(directory, account)) return true
  await chown(directory, uid, gid)
  await chmod(directory, mode & 0o7777)
  return false
}

async function makeShardsDirectory(home: string, account: ServerAccount): Promise<void> {
  try {
    await makeAccountDirectory(shardsDirectory(home), account)
  } catch (error) {
    const code = systemErrorCode(error)
    if (!account.switched || (code !== 'EPERM' && code !== 'EINVAL')) throw error
    throw new ConfigError(
      `PostgreSQL does not run as root, and this process, though root, may not give files to ${account.name} (${code}), ` +
        'as in a container without the capabilities CHOWN, SETUID and SETGID. Run the container as an ordinary user.',
    )
  }
}

async function makeHome(prefix: string, directory: string, account: ServerAccount): Promise<string> {
  const parent = dirname(prefix)
  if ((await mkdir(parent, { recursive: true })) !== undefined) await chmod(parent, 0o755)
  const { uid, mode } = await lstat(parent)
  // In a directory that others write to, only the sticky bit keeps them from swapping ours.
  if (uid !== 0 || ((mode & 0o022) !== 0 && (mode & 0o1000) === 0)) throw new Error(`${parent} is not safe to use`)
  const home = await mkdtemp(prefix)
  await writeFile(join(home, 'README'), `Data of the Switchyard cluster that is managed from ${directory}.\n`)
  await chmod(home, 0o711)
  await makeShardsDirectory(home, account)
  return home
}
