import { CLIENT, CLIENT_FLAG, CLIENT_TEXT } from '../memory/client-slots.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'
import type { Region } from '../memory/region.ts'

/** Where the client of a slot is, as it was told when it came. */
export function placeOf(clients: Region, { slot, generation }: SlotReference): NewClient {
  const i = slot * (clients.recordBytes >> 2)
  const address = clients.readText(slot, CLIENT_TEXT.address.offset)
  const isUnix = ((clients.i32[i + CLIENT.flags] ?? 0) & CLIENT_FLAG.unix) !== 0
  return {
    slot,
    generation,
    family: isUnix ? 1 : address.includes(':') ? 6 : 4,
    remotePort: clients.i32[i + CLIENT.remotePort] ?? 0,
    localPort: clients.i32[i + CLIENT.localPort] ?? 0,
    address,
  }
}
