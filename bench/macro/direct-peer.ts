import type { Peer } from './peer.ts'
import type { PostgresServer } from './postgres-server.ts'

/** The server itself, with nothing before it: what the others are measured against. Stopping it is the server's own business. */
export function directPeer(server: PostgresServer): Peer {
  return {
    name: 'direct',
    version: server.version,
    address: () => server.address,
    pooling: () => 'none',
    processes: () => [],
    stop: async () => {},
  }
}
