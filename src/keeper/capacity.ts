import type { Geometry } from '../memory/layout.ts'

/** Slots beyond the ordinary ones, for the console, for cancel requests and for refusing clients politely. */
export const RESERVED_CLIENT_SLOTS = 64
/** Descriptors of a process that are no client's and no server's: listeners, channels, pollers, libraries. */
const OWN_FILES = 128
const POOL_RECORDS = 1024
/** A reload may add shards, the memory is laid out only once, and slots that nobody touches cost nothing. */
const FEWEST_SERVER_SLOTS = 2048

/** What the configuration wants room for. */
export interface CapacityRequest {
  readonly maxClients: number
  readonly bufferMemoryBytes: number
  /** Over all shards. */
  readonly serverConnections: number
  /** RLIMIT_NOFILE: each process of the router holds a descriptor of each client and of each server connection. */
  readonly openFiles: number
}

/** What there is room for. */
export interface Capacity {
  readonly geometry: Geometry
  /** For the operator, when not everything fits. */
  readonly warning: string | null
}

/** How many slots the shared memory gets: what is configured, or less when the operating system does not allow it. */
export function planCapacity({
  maxClients,
  bufferMemoryBytes,
  serverConnections,
  openFiles,
}: CapacityRequest): Capacity {
  const others = serverConnections + RESERVED_CLIENT_SLOTS + OWN_FILES
  const ordinary = Math.max(1, Math.min(maxClients, openFiles - others))
  return {
    geometry: {
      clientSlots: ordinary + RESERVED_CLIENT_SLOTS,
      ordinaryClientSlots: ordinary,
      serverSlots: Math.max(FEWEST_SERVER_SLOTS, serverConnections * 2),
      poolRecords: POOL_RECORDS,
      planes: 1,
      arenaBytesPerPlane: bufferMemoryBytes,
    },
    warning:
      ordinary === maxClients
        ? null
        : `limits.max_clients is ${maxClients}, but the operating system allows ${openFiles} open files in a process, ` +
          `enough for ${ordinary} clients beside ${serverConnections} server connections: no more are accepted. ` +
          `Raise the limit to ${maxClients + others} ("ulimit -n", or LimitNOFILE= in a systemd unit) or lower max_clients.`,
  }
}
