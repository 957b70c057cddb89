import type { Dialect } from '../session/setting-statements.ts'
import type { LoginResult } from './server-login.ts'

/** What a server has said of itself, and of the session that a connection is for, at login. */
export class ServerIdentity implements LoginResult {
  /** All settings that it reports, with the values that they had, for the welcome of clients. */
  readonly reported: ReadonlyMap<string, string>
  readonly backendPid: number
  readonly cancelKey: Buffer
  /** How settings are put there. */
  readonly dialect: Dialect

  /** `user`: as whom we have logged in. */
  constructor({ reported, backendPid, cancelKey }: LoginResult, user: string) {
    this.reported = reported
    this.backendPid = backendPid
    this.cancelKey = cancelKey
    this.dialect = {
      user,
      isSuperuser: reported.get('is_superuser') === 'on',
      isRaw: reported.get('server_encoding') === 'SQL_ASCII',
    }
  }

  /** How the server spells the name of a setting, given in lower case, that it reports; null for one that it does not report. */
  reportedName(name: string): string | null {
    for (const reported of this.reported.keys()) if (reported.toLowerCase() === name) return reported
    return null
  }
}

/** Before the login. */
export const UNKNOWN_SERVER: ServerIdentity = new ServerIdentity(
  { reported: new Map(), backendPid: 0, cancelKey: Buffer.alloc(0) },
  '',
)
