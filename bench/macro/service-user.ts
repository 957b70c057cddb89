import { readFileSync } from 'node:fs'
import { chooseServerAccount, spawnIdentity } from '../../src/control/scaling/drivers/local/server-account.ts'

/** Whom to run PgBouncer as, which refuses to be root: whoever PostgreSQL's servers run as. Null: as ourselves. */
export function serviceUser(): { uid: number; gid: number } | null {
  const self = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 }
  const { uid, gid } = spawnIdentity(chooseServerAccount(self, readFileSync('/etc/passwd', 'utf8')))
  return uid === undefined || gid === undefined ? null : { uid, gid }
}
