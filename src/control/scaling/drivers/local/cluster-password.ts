import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { ConfigError } from '../../../../errors.ts'
import { type FileOwner, readTextIfExists, writePrivateFile } from './account-files.ts'

/**
 * The superuser's password of a cluster, from the file `password` in its directory, which only `owner` may read.
 * Made up (192 bits) when the cluster is new.
 *
 * @param hasData whether there are shards already, which know an older password
 * @throws ConfigError when they do and the file is gone
 */
export async function clusterPassword(directory: string, hasData: boolean, owner: FileOwner): Promise<string> {
  const path = join(directory, 'password')
  const known = (await readTextIfExists(path))?.trim() ?? ''
  if (known !== '') return known
  if (hasData) {
    throw new ConfigError(
      `${path} is missing, and the shards in ${directory} accept no other password. Write the password of their ` +
        'superuser into it, or choose another --data directory.',
    )
  }
  const password = randomBytes(24).toString('base64url')
  await writePrivateFile(path, `${password}\n`, owner)
  return password
}
