import { RouterError } from '../errors.ts'
import type { HbaMethod } from '../shard/plane-values.ts'

/**
 * What a client is told when a login by this method ends without success. Where a password is asked for it is the same whatever
 * the reason: a wrong password, an unknown user, a user without a password and a malformed exchange must look alike. PostgreSQL's
 * words.
 */
export function loginFailure(method: HbaMethod, user: string): RouterError {
  const [sqlstate, what] = method === 'cert' ? ['28000', 'certificate'] : ['28P01', 'password']
  return new RouterError(sqlstate, `${what} authentication failed for user "${user}"`, { origin: 'client' })
}
