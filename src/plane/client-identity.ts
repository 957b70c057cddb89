import { CLIENT, CLIENT_TEXT } from '../memory/client-slots.ts'
import type { DroppedClient } from '../memory/preservation.ts'
import type { Region } from '../memory/region.ts'

/** Who has this client slot, as reports name those who were lost. */
export function clientIdentity(
  clients: Region,
  slot: number,
  generation: number,
): Omit<DroppedClient, 'reason' | 'told'> {
  const text = (field: { readonly offset: number }): string => clients.readText(slot, field.offset)
  return {
    slot,
    generation,
    user: text(CLIENT_TEXT.user),
    database: text(CLIENT_TEXT.database),
    applicationName: text(CLIENT_TEXT.applicationName),
    address: text(CLIENT_TEXT.address),
    remotePort: clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.remotePort] ?? 0,
  }
}
