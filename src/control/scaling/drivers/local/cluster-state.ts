import { join } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import { type FileOwner, readTextIfExists, writePrivateFile } from './account-files.ts'

/** What a second start must know and cannot see: kept in `cluster.json`. Which shards there are, their directories say. */
export interface ClusterState {
  /** Directory that holds `shards/` when the servers' account cannot reach the cluster's own; null: it can. */
  readonly home: string | null
  /** Port of each shard by its name. */
  readonly ports: Readonly<Record<string, number>>
}

const fileName = 'cluster.json'

/**
 * @param directory the cluster's directory
 * @returns null when there is no cluster yet
 * @throws ConfigError when the file is not what was written
 */
export async function readClusterState(directory: string): Promise<ClusterState | null> {
  const path = join(directory, fileName)
  const text = await readTextIfExists(path)
  if (text === null) return null
  try {
    const state: unknown = JSON.parse(text)
    if (isClusterState(state)) return state
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error
  }
  throw new ConfigError(
    `${path} is damaged: it should read like {"home":null,"ports":{"shard-1":15432}}, where home is null or the absolute ` +
      'path of the directory that holds shards/. Write that, or choose another --data directory.',
  )
}

/** Replaces the file at once; it belongs to `owner`. */
export async function writeClusterState(directory: string, state: ClusterState, owner: FileOwner): Promise<void> {
  await writePrivateFile(join(directory, fileName), `${JSON.stringify(state, null, 2)}\n`, owner)
}

function isClusterState(value: unknown): value is ClusterState {
  if (typeof value !== 'object' || value === null || !('home' in value) || !('ports' in value)) return false
  const { home, ports } = value
  if (home !== null && !(typeof home === 'string' && home.startsWith('/'))) return false
  if (typeof ports !== 'object' || ports === null) return false
  return Object.values(ports).every((port) => Number.isInteger(port) && port > 0 && port < 65536)
}
