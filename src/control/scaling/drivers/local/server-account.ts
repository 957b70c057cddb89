import { ConfigError } from '../../../../errors.ts'

/** The system user that servers run as. PostgreSQL refuses to run as root. */
export interface ServerAccount {
  readonly uid: number
  readonly gid: number
  /** As /etc/passwd has it, or the number. initdb needs a named user, a running server does not. */
  readonly name: string
  /** True: this process is root and starts servers as somebody else. */
  readonly switched: boolean
}

interface PasswdEntry {
  readonly name: string
  readonly uid: number
  readonly gid: number
}

function passwdEntries(passwd: string): PasswdEntry[] {
  return passwd
    .split('\n')
    .map((line) => line.split(':'))
    .filter((fields) => fields.length >= 4)
    .map((fields) => ({ name: fields[0]!, uid: Number(fields[2]), gid: Number(fields[3]) }))
    .filter((entry) => Number.isInteger(entry.uid) && Number.isInteger(entry.gid))
}

/**
 * Whom new servers run as: this process's own user, or for root `postgres`, else `nobody`. No user is ever created.
 *
 * @param passwd the text of /etc/passwd
 * @throws ConfigError when root has neither
 */
export function chooseServerAccount(self: { uid: number; gid: number }, passwd: string): ServerAccount {
  const entries = passwdEntries(passwd)
  if (self.uid !== 0) {
    const name = entries.find((entry) => entry.uid === self.uid)?.name ?? String(self.uid)
    return { ...self, name, switched: false }
  }
  for (const name of ['postgres', 'nobody']) {
    const entry = entries.find((candidate) => candidate.name === name && candidate.uid !== 0)
    if (entry !== undefined) return { ...entry, switched: true }
  }
  throw new ConfigError(
    'PostgreSQL refuses to run as root, and /etc/passwd has neither a user "postgres" nor "nobody" to run it as. ' +
      'Start Switchyard as an ordinary user, or add one: useradd --system postgres.',
  )
}

/**
 * Whom the servers of an existing cluster run as: whoever owns the data.
 *
 * @throws ConfigError when this process is neither root nor that user
 */
export function accountOfData(
  self: { uid: number; gid: number },
  owner: { uid: number; gid: number; path: string },
  passwd: string,
): ServerAccount {
  const name = passwdEntries(passwd).find((entry) => entry.uid === owner.uid)?.name ?? String(owner.uid)
  if (owner.uid === self.uid && self.uid !== 0) return { ...self, name, switched: false }
  if (self.uid === 0 && owner.uid !== 0) return { uid: owner.uid, gid: owner.gid, name, switched: true }
  throw new ConfigError(
    `${owner.path} belongs to the user ${name}, and this process runs as another one (uid ${self.uid}). ` +
      `Start Switchyard as ${name === 'root' ? 'the user who may own it, after chown' : name}, or choose another --data directory.`,
  )
}

/** The part of Node's spawn options that makes a child run as `account`. */
export function spawnIdentity(account: ServerAccount): { uid?: number; gid?: number } {
  return account.switched ? { uid: account.uid, gid: account.gid } : {}
}
