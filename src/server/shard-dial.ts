import { SystemError } from '../io/native.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { startConnect, tuneSocket } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import type { Shard } from '../shard/topology.ts'

/**
 * Begins a connection to a shard; it is writable when it is open or has failed. Throws SystemError when the shard's name is
 * not resolved or the kernel refuses a socket (out of descriptors, no route).
 */
export function dialShard({ address, port, host }: Shard): OwnedFd {
  if (address === null) throw new SystemError(`resolve ${host}`, 0)
  const to = parseSocketAddress(address, port)
  const fd = startConnect(to)
  tuneSocket(fd, to.family)
  return fd
}
