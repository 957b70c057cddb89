import { mkdtemp, rename } from 'node:fs/promises'
import { join } from 'node:path'
import { makeAccountDirectory, removeTree, writePrivateFile } from './account-files.ts'
import { BackupDirectoryWriter } from './backup-directory-writer.ts'
import { takeBaseBackup } from './base-backup.ts'
import { pointAtPrimary } from './replication.ts'
import type { ServerAccount } from './server-account.ts'
import type { PrimaryAddress } from './server-client.ts'
import { buildingPrefix, type ShardDirectory } from './shard-directory.ts'

/** Of what a replica is made, and as whom it runs. */
export interface ReplicaOptions {
  readonly primary: PrimaryAddress
  readonly account: ServerAccount
  readonly signal?: AbortSignal | undefined
}

/**
 * Creates the data directory of a replica as a copy of the running `primary`, where the replica's slot exists. The copy
 * appears under its name when it is complete; what was there before (a copy too) is removed then.
 *
 * @throws LocalClusterError when the primary cannot be copied
 */
export async function createReplica(shard: ShardDirectory, options: ReplicaOptions): Promise<void> {
  const building = await mkdtemp(join(shard.root, buildingPrefix))
  const data = join(building, 'data')
  try {
    await makeAccountDirectory(building, options.account)
    await makeAccountDirectory(data, options.account)
    await unpackBackup(data, shard, options)
    await writePrivateFile(join(data, 'standby.signal'), '', options.account)
    await pointAtPrimary(data, shard.name, options.primary, options.account)
    await removeTree(shard.data)
    await rename(data, shard.data)
  } finally {
    await removeTree(building)
  }
}

async function unpackBackup(data: string, shard: ShardDirectory, options: ReplicaOptions): Promise<void> {
  const writer = new BackupDirectoryWriter(data, options.account)
  try {
    await takeBaseBackup(options.primary, { label: `switchyard ${shard.name}`, sink: writer, signal: options.signal })
  } finally {
    writer.close()
  }
}
