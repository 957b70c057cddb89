import { poolSettings } from '../client/pool-choice.ts'
import { CLIENT, CLIENT_F64 } from '../memory/client-slots.ts'
import { SERVER, SERVER_STEP } from '../memory/server-slots.ts'
import { SECTION } from '../memory/slot-section.ts'
import type { ServerConnection } from '../server/server-connection.ts'
import { decodeTarget, type KnownTarget } from '../server/server-kind.ts'
import type { Adopted, AdoptedClient, AdoptedServer } from './adopted.ts'
import { adoptLogin, adoptResting, adoptSession } from './kept-clients.ts'
import type { Plane } from './plane.ts'

/**
 * Makes sessions and server connections of what another process has left, when there are values to serve them by: first the
 * server connections, then whoever had them. What cannot find its place any more is closed.
 */
export function restoreConnections(plane: Plane, { clients, logins, resting, servers }: Adopted): void {
  const open = new Map<number, ServerConnection>()
  for (const kept of servers) {
    const server = restoreServer(plane, kept)
    if (server !== null) open.set(kept.slot, server)
  }
  // In the order in which they got in line.
  const inOrder = [...clients].sort((one, other) => waitingSince(plane, one) - waitingSince(plane, other))
  for (const { client, fd, record } of inOrder) {
    const server = open.get(record.serverSlot) ?? null
    adoptSession(plane, client, fd, record, server)
  }
  adoptResting(plane, resting)
  for (const { client, fd, login } of logins) adoptLogin(plane, client, fd, login)
  plane.signals.takeOverAbandoned(open.values())
  for (const server of open.values()) {
    if (server.state !== 'active' || server.client !== null) continue
    // Nobody wants the answer any more, and until it is there the shard works for nobody.
    if (server.queue.owing) plane.signals.cancelAbandoned(server)
    server.close('its client is gone')
  }
  for (const { slot, section } of servers) {
    const server = open.get(slot)
    if (server && wasCancelled(plane, section)) cancelAgain(plane, server)
  }
}

/** A cancel request for it was on its way when its plane ended; nobody knows how far. */
const wasCancelled = ({ servers }: Plane, section: number): boolean =>
  ((servers.i32[section + SECTION.flags] as number) & SERVER_STEP.cancelling) !== 0

/** What it works on is cancelled once more, and nobody else gets it, whom the first request could still hit. */
function cancelAgain(plane: Plane, server: ServerConnection): void {
  if (server.state !== 'active') return
  server.retired ??= 'a cancel request may still hit it'
  if (server.queue.owing) plane.signals.cancelServer(server)
}

/** Since when a client waits for a server connection; 0: it does not. */
function waitingSince({ clients }: Plane, { client }: AdoptedClient): number {
  return clients.f64[client.slot * (clients.recordBytes >> 3) + CLIENT_F64.waitingSince] ?? 0
}

function restoreServer(plane: Plane, kept: AdoptedServer): ServerConnection | null {
  const target = targetOf(plane, kept.slot)
  const shard = plane.values.topology.shards.find(({ name }) => name === target?.shard)
  try {
    if (target === null || shard === undefined) throw new Error('its shard is gone')
    const { of, user, database, credential, startup } = target
    const serverTarget = { shard, user, database, credential, startup }
    if (of.kind === 'listener') return plane.listeners.adopt(serverTarget, of.encoding, kept)
    const entry = of.kind === 'pool' ? plane.database(of.database) : null
    if (of.kind !== 'pool' || entry === null) throw new Error('its place is gone')
    const settings = poolSettings(plane, entry, plane.accounts.get(of.user))
    const key = { database: of.database, user: of.user, mode: of.mode, target: serverTarget }
    return plane.poolSet.get(key, settings).adopt(kept.slot, kept, claimOf(plane, kept.slot))
  } catch (error) {
    plane.log('warn', 'a server connection could not be taken over', {
      server: kept.slot,
      reason: error instanceof Error ? error.message : String(error),
    })
    kept.fd.close()
    plane.servers.clear(kept.slot)
    plane.freeServerSlot(kept.slot)
    return null
  }
}

/** What the client that a server connection serves has its slot as; −1 without one. */
function claimOf(plane: Plane, slot: number): number {
  const { servers, clients } = plane
  const client = (servers.i32[slot * (servers.recordBytes >> 2) + SERVER.client] ?? 0) - 1
  return client < 0 ? -1 : plane.claimOf(client, clients.i32[client * (clients.recordBytes >> 2) + CLIENT.tier] ?? 0)
}

function targetOf(plane: Plane, slot: number): KnownTarget | null {
  const { i32, recordBytes } = plane.servers
  const bytes = plane.store.get(i32[slot * (recordBytes >> 2) + SERVER.targetId] ?? 0)
  return bytes === null ? null : decodeTarget(bytes)
}
