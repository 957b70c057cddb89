import {
  CLIENT_SLOT_BYTES,
  type Geometry,
  HEADER,
  HISTORY_RECORD_BYTES,
  HISTORY_RECORDS,
  IDENTITY_RECORD_BYTES,
  IDENTITY_RECORDS,
  LAYOUT_VERSION,
  type LayoutRange,
  layoutObstacle,
  MAGIC,
  MAX_PLANES,
  OLDEST_READABLE_LAYOUT,
  OWN_LAYOUT,
  PLANE_RECORD_BYTES,
  POOL_RECORD_BYTES,
  PROFILE_RECORD_BYTES,
  type Regions,
  regionsOf,
  SERVER_SLOT_BYTES,
  SHARD_RECORD_BYTES,
} from './layout.ts'
import { Region } from './region.ts'
import { SHARD_RECORDS } from './shard-records.ts'
import { TLS_RECORD_BYTES } from './tls-records.ts'

/** Typed regions over one mapping of the shared memory; whoever mapped it unmaps it. */
export interface SharedState {
  readonly geometry: Geometry
  readonly regions: Regions
  readonly headerI32: Int32Array
  readonly headerF64: Float64Array
  readonly planes: Region
  readonly clients: Region
  readonly servers: Region
  readonly pools: Region
  readonly profiles: Region
  readonly identities: Region
  readonly history: Region
  readonly shards: Region
  readonly clientTls: Region
  readonly serverTls: Region
}

/** Stamps a fresh, zeroed mapping of `regionsOf(geometry).totalBytes` bytes. */
export function formatSharedState(memory: ArrayBuffer, geometry: Geometry, wallClockOffset: number): SharedState {
  const i32 = new Int32Array(memory, 0, 64)
  const f64 = new Float64Array(memory, 0, 64)
  i32[HEADER.layoutVersion] = LAYOUT_VERSION
  i32[HEADER.readableSince] = OLDEST_READABLE_LAYOUT
  i32[HEADER.clientSlots] = geometry.clientSlots
  i32[HEADER.ordinaryClientSlots] = geometry.ordinaryClientSlots
  i32[HEADER.serverSlots] = geometry.serverSlots
  i32[HEADER.poolRecords] = geometry.poolRecords
  i32[HEADER.planes] = geometry.planes
  f64[HEADER.arenaBytesPerPlane] = geometry.arenaBytesPerPlane
  f64[HEADER.wallClockOffset] = wallClockOffset
  // Last, so that a reader never sees a half-stamped header.
  i32[HEADER.magic] = MAGIC
  return openSharedState(memory)
}

/** What a mapping of at least one page was stamped with; throws when it is no segment of ours. */
export function readLayout(memory: ArrayBuffer): LayoutRange {
  const i32 = new Int32Array(memory, 0, 64)
  if (i32[HEADER.magic] !== MAGIC) throw new Error('shared memory: not a Switchyard segment')
  return { layout: i32[HEADER.layoutVersion] ?? 0, oldest: i32[HEADER.readableSince] ?? 0 }
}

/** The geometry that a mapping of at least one page announces; throws when it is not ours or of a layout we cannot read. */
export function readGeometry(memory: ArrayBuffer): Geometry {
  const i32 = new Int32Array(memory, 0, 64)
  const f64 = new Float64Array(memory, 0, 64)
  const obstacle = layoutObstacle(readLayout(memory), OWN_LAYOUT)
  if (obstacle !== null) throw new Error(`shared memory: ${obstacle}`)
  return {
    clientSlots: i32[HEADER.clientSlots] ?? 0,
    ordinaryClientSlots: i32[HEADER.ordinaryClientSlots] ?? 0,
    serverSlots: i32[HEADER.serverSlots] ?? 0,
    poolRecords: i32[HEADER.poolRecords] ?? 0,
    planes: i32[HEADER.planes] ?? 0,
    arenaBytesPerPlane: f64[HEADER.arenaBytesPerPlane] ?? 0,
  }
}

/** Views over a stamped mapping. */
export function openSharedState(memory: ArrayBuffer): SharedState {
  const geometry = readGeometry(memory)
  const regions = regionsOf(geometry)
  return {
    geometry,
    regions,
    headerI32: new Int32Array(memory, 0, 64),
    headerF64: new Float64Array(memory, 0, 64),
    planes: new Region(memory, regions.planes, PLANE_RECORD_BYTES, MAX_PLANES),
    clients: new Region(memory, regions.clients, CLIENT_SLOT_BYTES, geometry.clientSlots),
    servers: new Region(memory, regions.servers, SERVER_SLOT_BYTES, geometry.serverSlots),
    pools: new Region(memory, regions.pools, POOL_RECORD_BYTES, geometry.poolRecords),
    profiles: new Region(memory, regions.profiles, PROFILE_RECORD_BYTES, geometry.clientSlots),
    identities: new Region(memory, regions.identities, IDENTITY_RECORD_BYTES, geometry.planes * IDENTITY_RECORDS),
    shards: new Region(memory, regions.shards, SHARD_RECORD_BYTES, (geometry.planes + 1) * SHARD_RECORDS),
    history: new Region(memory, regions.history, HISTORY_RECORD_BYTES, geometry.planes * HISTORY_RECORDS),
    clientTls: new Region(memory, regions.clientTls, TLS_RECORD_BYTES, geometry.clientSlots),
    serverTls: new Region(memory, regions.serverTls, TLS_RECORD_BYTES, geometry.serverSlots),
  }
}
