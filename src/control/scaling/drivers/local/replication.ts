import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { readTextIfExists, writePrivateFile } from './account-files.ts'
import type { ServerAccount } from './server-account.ts'
import { type PrimaryAddress, type ServerAddress, withServer } from './server-client.ts'
import { primaryConnInfo, replaceAutoSettings, slotName } from './server-settings.ts'

const pollMs = 5
/** A walreceiver whose log does not fit is ended at once. */
const steadyMs = 1_000

/** Makes the physical slots that are missing on the primary; WAL is kept for them from now on. */
export async function ensureSlots(primary: ServerAddress, replicas: readonly string[]): Promise<void> {
  await withServer(primary, async (client) => {
    await client.query(
      `select pg_create_physical_replication_slot(name, true) from unnest($1::text[]) name
       where not exists (select from pg_replication_slots where slot_name = name)`,
      [replicas.map(slotName)],
    )
  })
}

/** Replicas whose slot was given up, since they were away for too long: they lack WAL for good. */
export async function lostReplicas(primary: ServerAddress, replicas: readonly string[]): Promise<string[]> {
  return withServer(primary, async (client) => {
    const lost = await client.query<{ slot_name: string }>(
      `select slot_name from pg_replication_slots where slot_type = 'physical' and wal_status = 'lost'`,
    )
    const names = lost.rows.map((row) => row.slot_name)
    for (const name of names) await client.query('select pg_drop_replication_slot($1)', [name])
    return replicas.filter((replica) => names.includes(slotName(replica)))
  })
}

/** Makes a stopped replica follow `primary` from its next start on. */
export async function pointAtPrimary(
  dataDirectory: string,
  shardName: string,
  primary: PrimaryAddress,
  account: ServerAccount,
): Promise<void> {
  const path = join(dataDirectory, 'postgresql.auto.conf')
  const text = replaceAutoSettings((await readTextIfExists(path)) ?? '', {
    primary_conninfo: primaryConnInfo(primary),
    primary_slot_name: slotName(shardName),
  })
  await writePrivateFile(path, text, account)
}

/** Makes a running replica follow `primary`, if it does not yet; it reconnects by itself. */
export async function repointReplica(
  replica: ServerAddress,
  shardName: string,
  primary: PrimaryAddress,
): Promise<void> {
  const wanted = {
    primary_conninfo: primaryConnInfo(primary),
    primary_slot_name: slotName(shardName),
  }
  await withServer(replica, async (client) => {
    let changed = false
    for (const [name, value] of Object.entries(wanted)) {
      const current = await client.query<{ value: string }>('select current_setting($1) as value', [name])
      if (current.rows[0]?.value === value) continue
      await client.query(`alter system set ${name} = ${client.escapeLiteral(value)}`)
      changed = true
    }
    if (changed) await client.query('select pg_reload_conf()')
  })
}

/**
 * Waits until all replicas stream from the primary.
 *
 * @returns the names of those that did not within `timeoutMs`
 */
export async function waitForStreaming(
  primary: ServerAddress,
  replicas: readonly string[],
  options: { timeoutMs: number; signal?: AbortSignal | undefined },
): Promise<string[]> {
  if (replicas.length === 0) return []
  const deadline = performance.now() + options.timeoutMs
  return withServer(primary, async (client) => {
    for (;;) {
      const streaming = await client.query<{ slot_name: string }>(
        `select s.slot_name from pg_replication_slots s join pg_stat_replication r on r.pid = s.active_pid
         where r.state = 'streaming'`,
      )
      const names = streaming.rows.map((row) => row.slot_name)
      const missing = replicas.filter((replica) => !names.includes(slotName(replica)))
      if (missing.length === 0 || performance.now() > deadline) return missing
      await delay(pollMs, undefined, { signal: options.signal })
    }
  })
}

/**
 * Waits until a replica gets the log that the primary writes. One that has a history of its own streams as well for moments: what
 * comes before they part, again and again. So it has to have replayed what the primary has written by now, or to go on
 * streaming for a while.
 *
 * @returns false when it did not within `timeoutMs`
 */
export async function waitForTimeline(
  primary: ServerAddress,
  replica: ServerAddress,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  const { timeline, written } = await withServer(primary, async (client) => {
    const { rows } = await client.query<{ file: string; written: string }>(
      'select pg_walfile_name(pg_current_wal_lsn()) as file, pg_current_wal_flush_lsn()::text as written',
    )
    return { timeline: Number.parseInt(rows[0]?.file.slice(0, 8) ?? '', 16), written: rows[0]?.written }
  })
  return withServer(replica, async (client) => {
    let streaming = { pid: 0, since: 0 }
    for (;;) {
      const { rows } = await client.query<{ pid: number; timeline: number; replayed: boolean | null }>(
        `select pid, received_tli as timeline, pg_last_wal_replay_lsn() >= $1::pg_lsn as replayed
         from pg_stat_wal_receiver where status = 'streaming'`,
        [written],
      )
      const [row] = rows
      const now = performance.now()
      if (row === undefined || row.timeline !== timeline) streaming = { pid: 0, since: now }
      else if (row.replayed === true) return true
      else if (row.pid !== streaming.pid) streaming = { pid: row.pid, since: now }
      else if (now - streaming.since >= steadyMs) return true
      if (now > deadline) return false
      await delay(pollMs)
    }
  })
}
