import { OwnedFd } from '../io/owned-fd.ts'
import { localAddress, peerAddress } from '../io/socket.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'
import type { ClientTable } from './client-table.ts'
import { newClient } from './new-client.ts'
import type { ServerTable } from './server-table.ts'

/** What a plane that died leaves to its successor. */
export interface HandOver {
  readonly servers: readonly SlotReference[]
  /** Those it had begun to serve: what it knew of them is in their slots. */
  readonly clients: readonly SlotReference[]
  /** Those it never looked at: they are new to the successor as well. */
  readonly unseen: readonly NewClient[]
}

/** Everything that the tables hold of `plane`, which is dead. Clients that it was done with are ended here. */
export function takeInventory(plane: number, clients: ClientTable, servers: ServerTable): HandOver {
  const served: SlotReference[] = []
  const unseen: NewClient[] = []
  for (const client of clients.of(plane)) {
    const progress = clients.progress(client.slot)
    if (progress === 'served') {
      served.push(client)
      continue
    }
    const described = progress === 'unseen' ? describe(client, clients.descriptor(client.slot)) : null
    if (described === null) clients.release(client, plane)
    else unseen.push(described)
  }
  return { servers: servers.of(plane), clients: served, unseen }
}

/** Null when it is gone. */
function describe(client: SlotReference, descriptor: number | null): NewClient | null {
  if (descriptor === null) return null
  // The table's, and stays so.
  const fd = new OwnedFd(descriptor)
  const peer = peerAddress(fd)
  return peer === null ? null : newClient(client, peer, localAddress(fd).port)
}
