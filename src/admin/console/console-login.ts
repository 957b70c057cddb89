import { RouterError } from '../../errors.ts'
import type { GrantedAccess } from './command.ts'

/** Who logs in, as the data plane vouches. */
export interface ConsoleLogin {
  readonly user: string
  readonly database: string
  readonly applicationName: string
  readonly access: GrantedAccess
  /** Client slot of the connection behind the plane, for the log; null when the plane did not say. */
  readonly client: number | null
}

/**
 * The login that startup parameters describe. The plane has authenticated the user and strips `switchyard.*` from what
 * clients send, so these can be trusted. Throws `28000` without a user, `42501` without console access.
 */
export function consoleLogin(parameters: ReadonlyMap<string, string>): ConsoleLogin {
  const user = parameters.get('user') ?? ''
  if (user === '') throw new RouterError('28000', 'The startup packet names no user.', { origin: 'client' })
  const access = parameters.get('switchyard.console')
  if (access !== 'admin' && access !== 'stats') {
    throw new RouterError('42501', `The user "${user}" has no access to the admin console.`, {
      origin: 'client',
      hint: 'Connect through the router, as a user whose console access is "stats" or "admin".',
    })
  }
  const client = Number.parseInt(parameters.get('switchyard.client') ?? '', 10)
  return {
    user,
    database: parameters.get('database') ?? user,
    applicationName: parameters.get('application_name') ?? '',
    access,
    client: Number.isNaN(client) ? null : client,
  }
}
