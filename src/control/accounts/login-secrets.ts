import { createHmac, randomBytes } from 'node:crypto'
import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigError } from '../../errors.ts'

const SECRET_BYTES = 32

/** What makes logins look the same from one start to the next. */
export interface LoginSecrets {
  /** For `VerifierCache`: 32 bytes. */
  readonly verifiers: Buffer
  /** For `mockAccount`: 32 bytes in base64. */
  readonly mock: string
}

/**
 * From the file `login-secret` in the data directory, which is made when it is missing. Were salts to change at a restart,
 * those of users that exist in another way than those of users that do not, anybody could tell them apart.
 * Throws `ConfigError` when the file can be neither read nor made.
 */
export function loginSecrets(dataDirectory: string): LoginSecrets {
  const secret = readOrMake(join(dataDirectory, 'login-secret'))
  const derive = (purpose: string): Buffer => createHmac('sha256', secret).update(purpose).digest()
  return { verifiers: derive('verifiers'), mock: derive('mock accounts').toString('base64') }
}

function readOrMake(path: string): Buffer {
  try {
    const known = readIfExists(path)
    if (known?.length === SECRET_BYTES) return known
    const secret = randomBytes(SECRET_BYTES)
    // Nobody ever reads a half of it.
    writeFileSync(`${path}.new`, secret, { mode: 0o600 })
    renameSync(`${path}.new`, path)
    return secret
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError(`${path} cannot be read or made (${reason}); let this user write to the data directory.`)
  }
}

function readIfExists(path: string): Buffer | null {
  try {
    return readFileSync(path)
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null
    throw error
  }
}
