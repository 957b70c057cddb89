import { AF_INET6, AF_UNIX } from '../io/native.ts'
import type { SocketAddress } from '../io/socket-address.ts'
import type { NewClient, SlotReference } from '../memory/keeper-protocol.ts'

/** What a plane is told of a client whose other end is `peer`; `localPort` is where it connected. */
export function newClient(slot: SlotReference, peer: SocketAddress, localPort: number): NewClient {
  if (peer.family === AF_UNIX) return { ...slot, family: 1, remotePort: 0, localPort: 0, address: '' }
  const family = peer.family === AF_INET6 ? 6 : 4
  return { ...slot, family, remotePort: peer.port, localPort, address: peer.host }
}
