import { SHARD_RECORDS } from './shard-records.ts'
import { TLS_RECORD_BYTES } from './tls-records.ts'

/**
 * Where everything lies in the shared memory that keeper, planes and control map.
 *
 * A plane may die at any instruction; what a session needs to go on is here, and JavaScript objects are
 * views of it that can be rebuilt. The same numbers feed `SHOW CLIENTS` and `/metrics`, so the control
 * process reads them without asking a plane. All integers are little-endian (x64 and arm64).
 *
 *   header | plane records | client slots | server slots | pool records | connection profiles, one per client slot |
 *   identity profiles and history rings, one table and one ring per plane | shard records, by control and per plane |
 *   TLS sessions, one per client slot and one per server slot | buffer arenas, one per plane
 *
 * A change of any offset, and of anything that processes say to each other, is a new LAYOUT_VERSION: after an upgrade a
 * process of the new version goes on with what one of the old version left, and the other way round after a rollback. (What is
 * said only to those who have said that they know it is none: see `ProgramAnswer`.) New
 * fields go where nothing was, so that 0 means that nobody has written them: then OLDEST_READABLE_LAYOUT stays one
 * behind. Where that is not possible it becomes LAYOUT_VERSION, and an upgrade over this step is refused.
 */
export const MAGIC = 0x44595753 // "SWYD"
export const LAYOUT_VERSION = 8
export const OLDEST_READABLE_LAYOUT = 7

export const PAGE_BYTES = 4096
export const HEADER_BYTES = PAGE_BYTES
export const PLANE_RECORD_BYTES = PAGE_BYTES
export const MAX_PLANES = 16
export const CLIENT_SLOT_BYTES = 1024
export const SERVER_SLOT_BYTES = 1024
export const POOL_RECORD_BYTES = 2048
export const PROFILE_RECORD_BYTES = 512
export const IDENTITY_RECORD_BYTES = 1024
/** Of one plane. */
export const IDENTITY_RECORDS = 4096
export const HISTORY_RECORD_BYTES = 1024
/** Of one plane's ring, the first of which is its head. */
export const HISTORY_RECORDS = 2048
export const SHARD_RECORD_BYTES = 1024

/** i32 indexes into the header. */
export const HEADER = {
  magic: 0,
  layoutVersion: 1,
  clientSlots: 2,
  /** Slots below this number are for ordinary clients; the rest for the console, cancels and polite refusals. */
  ordinaryClientSlots: 3,
  serverSlots: 4,
  poolRecords: 5,
  planes: 6,
  keeperPid: 7,
  /** The oldest layout whose programs can read this one. */
  readableSince: 8,
  /** f64 index: milliseconds to add to the monotonic clock to get the time since 1970. */
  wallClockOffset: 16,
  arenaBytesPerPlane: 17,
  /** f64 index: monotonic milliseconds at which the router started; its keeper may have started later. */
  startedAt: 18,
} as const

/** How many of everything the shared memory has room for; the header holds it. */
export interface Geometry {
  readonly clientSlots: number
  readonly ordinaryClientSlots: number
  readonly serverSlots: number
  readonly poolRecords: number
  readonly planes: number
  readonly arenaBytesPerPlane: number
}

/** Where each region begins: byte offsets from the start of the shared memory. */
export interface Regions {
  readonly planes: number
  readonly clients: number
  readonly servers: number
  readonly pools: number
  readonly profiles: number
  readonly identities: number
  readonly history: number
  readonly shards: number
  readonly clientTls: number
  readonly serverTls: number
  readonly arenas: number
  readonly totalBytes: number
}

/** Which layouts a program can read, or what a segment was stamped with. */
export interface LayoutRange {
  readonly layout: number
  readonly oldest: number
}

export const OWN_LAYOUT: LayoutRange = { layout: LAYOUT_VERSION, oldest: OLDEST_READABLE_LAYOUT }

/**
 * Why a program that reads `program` cannot use memory stamped `memory`, as a sentence; null when it can: one of the two
 * knows the other.
 */
export function layoutObstacle(memory: LayoutRange, program: LayoutRange): string | null {
  const isKnown = memory.layout >= program.oldest && memory.layout <= program.layout
  const isKnownAhead = memory.layout > program.layout && memory.oldest <= program.layout
  if (isKnown || isKnownAhead) return null
  const reads = program.oldest === program.layout ? `${program.layout}` : `${program.oldest} to ${program.layout}`
  return `the shared memory has layout ${memory.layout}, and this version reads ${reads}`
}

/** The keys of all TLS sessions: that many bytes from `clientTls` on. */
export function tlsBytes({ clientTls, arenas }: Regions): number {
  return arenas - clientTls
}

/** Of a plane's memory for buffers, the part that holds values which outlive a plane. */
export function valueStoreBytes(arenaBytesPerPlane: number): number {
  return roundToPage(arenaBytesPerPlane >> 3)
}

const roundToPage = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES

/** Byte offset of each region, page aligned. */
export function regionsOf(geometry: Geometry): Regions {
  const planes = HEADER_BYTES
  const clients = planes + MAX_PLANES * PLANE_RECORD_BYTES
  const servers = clients + roundToPage(geometry.clientSlots * CLIENT_SLOT_BYTES)
  const pools = servers + roundToPage(geometry.serverSlots * SERVER_SLOT_BYTES)
  const profiles = pools + roundToPage(geometry.poolRecords * POOL_RECORD_BYTES)
  const identities = profiles + roundToPage(geometry.clientSlots * PROFILE_RECORD_BYTES)
  const history = identities + geometry.planes * IDENTITY_RECORDS * IDENTITY_RECORD_BYTES
  const shards = history + geometry.planes * HISTORY_RECORDS * HISTORY_RECORD_BYTES
  const clientTls = shards + (geometry.planes + 1) * SHARD_RECORDS * SHARD_RECORD_BYTES
  const serverTls = clientTls + roundToPage(geometry.clientSlots * TLS_RECORD_BYTES)
  const arenas = serverTls + roundToPage(geometry.serverSlots * TLS_RECORD_BYTES)
  return {
    planes,
    clients,
    servers,
    pools,
    profiles,
    identities,
    history,
    shards,
    clientTls,
    serverTls,
    arenas,
    totalBytes: arenas + geometry.planes * roundToPage(geometry.arenaBytesPerPlane),
  }
}
