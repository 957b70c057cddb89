import type pg from 'pg'
import { waitUntil } from '../support/wait-until.ts'

/*
 * What is asked of a database again and again while programs run, as superuser, about its clients: in statements that are planned
 * once.
 */

const HERE = '(SELECT oid FROM pg_database WHERE datname = current_database())'
/** Server processes of clients, but for our own and those with which the router looks at the database itself. */
const CLIENTS = `pg_stat_get_activity(NULL) AS a WHERE a.datid = ${HERE} AND a.backend_type = 'client backend'
  AND a.pid <> pg_backend_pid() AND a.application_name <> 'switchyard catalogue'`

const PROCESSES = { name: 'processes', text: `SELECT a.pid FROM ${CLIENTS}` }
const SLEEPERS = { name: 'sleepers', text: `SELECT FROM ${CLIENTS} AND a.wait_event = 'PgSleep'` }

/** Process ids, and objects that nobody may have any more when all clients have gone: a row for each. */
export const LEFTOVERS = {
  name: 'leftovers',
  text: `
    SELECT a.pid, NULL AS object FROM ${CLIENTS}
    UNION ALL SELECT NULL, 'temporary ' || relname FROM pg_class WHERE relpersistence = 't'
    UNION ALL SELECT NULL, 'lock ' || objid FROM pg_lock_status() WHERE locktype = 'advisory' AND database = ${HERE}`,
} as const

/** Process ids of the clients of the database that `admin` is connected to. */
export async function processesOf(admin: pg.Client): Promise<number[]> {
  return (await admin.query(PROCESSES)).rows.map(({ pid }) => Number(pid))
}

/** Resolves when these server processes of the database have let go of all that they held. */
export async function processesGone(admin: pg.Client, pids: readonly number[]): Promise<void> {
  if (pids.length === 0) return
  const gone = async (): Promise<boolean> => !(await processesOf(admin)).some((pid) => pids.includes(pid))
  await waitUntil('server processes to end', gone, { everyMs: 2 })
}

/** Resolves when somebody's `pg_sleep` has begun. */
export async function someoneSleeps(admin: pg.Client): Promise<void> {
  const isAsleep = async (): Promise<boolean> => (await admin.query(SLEEPERS)).rowCount === 1
  await waitUntil('a client to sleep', isAsleep, { everyMs: 2 })
}
