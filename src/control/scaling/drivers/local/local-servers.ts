import { readFileSync, realpathSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import { accountOfData, type ServerAccount } from './server-account.ts'
import { type ShardDirectory, shardDirectory } from './shard-directory.ts'

/** A server of this machine that Switchyard may stop, start and promote. */
export interface LocalServer {
  readonly name: string
  readonly host: string
  readonly port: number
  readonly directory: ShardDirectory
  readonly account: ServerAccount
}

/** A shard as the configuration has it, as far as it says whether its server is on this machine. */
export interface LocalServerConfig {
  readonly name: string
  readonly host: string
  readonly port: number
  /** Null: not ours to manage. */
  readonly dataDirectory: string | null
}

/**
 * The servers among `shards` that have a data directory here.
 *
 * @throws ConfigError when one is not there, or belongs to somebody whom this process cannot act for
 */
export function localServers(shards: readonly LocalServerConfig[]): readonly LocalServer[] {
  const passwd = readFileSync('/etc/passwd', 'utf8')
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  return shards.flatMap(({ name, host, port, dataDirectory }) => {
    if (dataDirectory === null) return []
    const data = existing(name, dataDirectory)
    const { uid, gid } = statSync(data)
    const account = accountOfData(self, { uid, gid, path: data }, passwd)
    return [{ name, host, port, directory: directoryOf(name, data), account }]
  })
}

function existing(name: string, path: string): string {
  try {
    // Processes are recognised by it.
    return realpathSync(path)
  } catch {
    throw new ConfigError(
      `The data_directory of the shard ${name}, ${path}, is not there: correct it, or leave it out.`,
    )
  }
}

/** Ours are laid out as `NAME/data` beside `NAME/log`; of others nothing is known but the data. */
function directoryOf(name: string, data: string): ShardDirectory {
  const root = dirname(data)
  if (basename(data) === 'data' && basename(root) === name) return shardDirectory(dirname(root), name)
  return { name, root, data, log: data, logFile: join(data, 'switchyard-start.log'), sockets: null }
}
