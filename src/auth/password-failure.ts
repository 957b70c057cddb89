import { RouterError } from '../errors.ts'

/**
 * What a client is told when a login by password ends without success, whatever the reason: a wrong password, an
 * unknown user, a user without a password and a malformed exchange must look the same. PostgreSQL's words.
 */
export function passwordFailure(user: string): RouterError {
  return new RouterError('28P01', `password authentication failed for user "${user}"`, { origin: 'client' })
}
