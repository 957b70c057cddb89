import { setTimeout as delay } from 'node:timers/promises'
import { LocalClusterError } from './local-cluster-error.ts'
import { type ServerAddress, withServer } from './server-client.ts'
import { slotName } from './server-settings.ts'

/** A walsender notices the end of its replica in this time. */
const RELEASE_MS = 10_000
const POLL_MS = 10

/** Drops the slot of a replica that is gone, so that no log is kept for it any more. Does nothing when there is none. */
export async function dropSlot(server: ServerAddress, replica: string): Promise<void> {
  await withServer(server, async (client) => {
    const deadline = performance.now() + RELEASE_MS
    for (;;) {
      const { rows } = await client.query<{ pid: number | null }>(
        `select active_pid as pid from pg_replication_slots where slot_name = $1 and slot_type = 'physical'`,
        [slotName(replica)],
      )
      const [slot] = rows
      if (slot === undefined) return
      if (slot.pid === null) {
        await client.query('select pg_drop_replication_slot($1)', [slotName(replica)])
        return
      }
      if (performance.now() > deadline) {
        throw new LocalClusterError(`The slot of ${replica} is still in use, by the process ${slot.pid}.`)
      }
      await delay(POLL_MS)
    }
  })
}
