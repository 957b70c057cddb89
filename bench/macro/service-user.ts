import { readFileSync } from 'node:fs'
import { getuid } from 'node:process'

/**
 * Whom to run PgBouncer as, which refuses to be root: null when we are not root ourselves, otherwise the first of `postgres`,
 * `pgbouncer` and `nobody` that this machine has.
 */
export function serviceUser(): { uid: number; gid: number } | null {
  if (getuid?.() !== 0) return null
  const accounts = new Map<string, { uid: number; gid: number }>()
  for (const line of readFileSync('/etc/passwd', 'utf8').split('\n')) {
    const [name, , uid, gid] = line.split(':')
    if (name !== undefined) accounts.set(name, { uid: Number(uid), gid: Number(gid) })
  }
  const user = accounts.get('postgres') ?? accounts.get('pgbouncer') ?? accounts.get('nobody')
  if (user === undefined) throw new Error('PgBouncer refuses to run as root, and /etc/passwd has no user nobody')
  return user
}
