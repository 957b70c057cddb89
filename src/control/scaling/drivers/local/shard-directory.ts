import { join } from 'node:path'

/** Where one shard's files are. `data` exists only when it is complete: a new one is made beside it and renamed. */
export interface ShardDirectory {
  readonly name: string
  readonly root: string
  readonly data: string
  readonly log: string
  readonly logFile: string
  /** Null when a socket in it would exceed the system's limit. */
  readonly sockets: string | null
}

/** Prefix of the directories in a shard's root where data is under construction: never used, removed at a start. */
export const buildingPrefix = 'building-'

/** `sockaddr_un.sun_path` has 108 bytes with the closing zero. */
const socketPathLimit = 107

/** @param shardsDirectory absolute path of the directory that holds all shards */
export function shardDirectory(shardsDirectory: string, name: string): ShardDirectory {
  const root = join(shardsDirectory, name)
  const sockets = join(root, 'socket')
  return {
    name,
    root,
    data: join(root, 'data'),
    log: join(root, 'log'),
    logFile: join(root, 'log', 'postgresql.log'),
    sockets: Buffer.byteLength(join(sockets, '.s.PGSQL.65535')) <= socketPathLimit ? sockets : null,
  }
}

/** Shards are named by number, not by role: roles change. */
export function shardName(number: number): string {
  return `shard-${number}`
}
