import { readdir, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { readTextIfExists, removeTree } from './account-files.ts'
import { LocalClusterError, systemErrorCode } from './local-cluster-error.ts'
import { buildingPrefix, type ShardDirectory, shardDirectory } from './shard-directory.ts'

/** What a data directory says of itself, running or not. */
export interface ShardFacts {
  readonly shard: ShardDirectory
  readonly major: number
  /** Follows a primary when it runs. */
  readonly standby: boolean
  /** Counts the promotions in its past, beginning with 1. */
  readonly timeline: number
}

/** The shards with complete data below `shardsDirectory`, by name. */
export async function inspectShards(shardsDirectory: string): Promise<ShardFacts[]> {
  const found: ShardFacts[] = []
  for (const name of await list(shardsDirectory)) {
    const shard = shardDirectory(shardsDirectory, name)
    const version = await readTextIfExists(join(shard.data, 'PG_VERSION'))
    if (version === null) continue
    found.push({
      shard,
      major: Number.parseInt(version, 10),
      standby: (await list(shard.data)).includes('standby.signal'),
      timeline: await timelineOf(shard.data),
    })
  }
  return found.sort((a, b) => a.shard.name.localeCompare(b.shard.name, 'en', { numeric: true }))
}

/** A promotion leaves a history file named for the new timeline: https://www.postgresql.org/docs/current/continuous-archiving.html#BACKUP-TIMELINES */
async function timelineOf(dataDirectory: string): Promise<number> {
  let newest = 1
  for (const name of await list(join(dataDirectory, 'pg_wal'))) {
    const timeline = /^([0-9A-F]{8})\.history$/.exec(name)?.[1]
    if (timeline !== undefined) newest = Math.max(newest, Number.parseInt(timeline, 16))
  }
  return newest
}

/**
 * The primary among existing shards: of those that do not follow another one, the one with the newest timeline. The
 * others were primaries before it, and went down without following it.
 *
 * @throws LocalClusterError when all are replicas: which one to promote is not for a program to guess
 */
export function choosePrimary(shards: readonly ShardFacts[]): { primary: ShardFacts; superseded: ShardFacts[] } | null {
  if (shards.length === 0) return null
  const candidates = shards.filter((facts) => !facts.standby).sort((a, b) => b.timeline - a.timeline)
  const [primary, ...superseded] = candidates
  if (primary === undefined) {
    const names = shards.map((facts) => facts.shard.name).join(' and ')
    throw new LocalClusterError(
      `The primary of this cluster is gone: ${names} in ${shards[0]!.shard.root} are replicas. Remove the file ` +
        'data/standby.signal of the one that is to be the primary, and start again.',
    )
  }
  if (superseded.some((facts) => facts.timeline === primary.timeline)) {
    const names = candidates.map((facts) => facts.shard.name).join(' and ')
    throw new LocalClusterError(
      `${names} both claim to be the primary, and nothing tells which one is right. Move the directory of the wrong ` +
        `one away (below ${primary.shard.root}), and start again.`,
    )
  }
  return { primary, superseded }
}

/** Removes what interrupted constructions left in a shard's directory. */
export async function removeUnfinished(shard: ShardDirectory): Promise<void> {
  for (const name of await list(shard.root)) {
    if (name.startsWith(buildingPrefix)) await removeTree(join(shard.root, name))
  }
}

/** Renames the data of a stopped shard, so that it can be made anew and nothing is lost. Returns where it is now. */
export async function setDataAside(shard: ShardDirectory): Promise<string> {
  const names = await list(shard.root)
  let number = 1
  while (names.includes(`data.old-${number}`)) number++
  const path = join(shard.root, `data.old-${number}`)
  await rename(shard.data, path)
  return path
}

async function list(directory: string): Promise<string[]> {
  try {
    return await readdir(directory)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return []
    throw error
  }
}
