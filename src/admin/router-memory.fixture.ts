import { CLIENT, CLIENT_F64, CLIENT_STATE, CLIENT_TEXT, type ClientState } from '../memory/client-slots.ts'
import { PLANE, PLANE_F64 } from '../memory/plane-records.ts'
import { HISTOGRAM_BUCKETS, POOL, POOL_F64, POOL_HISTOGRAM, POOL_TEXT } from '../memory/pool-records.ts'
import type { Region } from '../memory/region.ts'
import { SERVER, SERVER_F64, SERVER_STATE, SERVER_TEXT, type ServerState } from '../memory/server-slots.ts'
import type { SharedState } from '../memory/shared-state.ts'

/** The router whose memory the test writes as a plane would. */
interface RouterMemory {
  readonly memory: SharedState
}

type Fields = Readonly<Record<string, number>>
type Texts = Readonly<Record<string, { offset: number; capacity: number }>>

function write(
  region: Region,
  record: number,
  layout: { i32: Fields; f64: Fields; text: Texts },
  values: object,
): void {
  for (const [name, value] of Object.entries(values)) {
    const text = layout.text[name]
    if (typeof value === 'string' && text !== undefined) region.writeText(record, text.offset, text.capacity, value)
    else if (typeof value === 'number' && layout.f64[name] !== undefined) {
      region.f64[record * (region.recordBytes >> 3) + layout.f64[name]] = value
    } else if (typeof value === 'number' && layout.i32[name] !== undefined) {
      region.i32[record * (region.recordBytes >> 2) + layout.i32[name]] = value
    } else throw new Error(`test: there is no field ${name} for ${String(value)}`)
  }
}

type Numbers<F> = Partial<Record<keyof F, number>>
type Strings<F> = Partial<Record<keyof F, string>>

/** A client in this state; what `values` does not say is that of alice, who uses the database app. */
export function writeClient(
  { memory }: RouterMemory,
  slot: number,
  state: ClientState,
  values: Numbers<Omit<typeof CLIENT, 'state'>> & Numbers<typeof CLIENT_F64> & Strings<typeof CLIENT_TEXT> = {},
): void {
  write(
    memory.clients,
    slot,
    { i32: CLIENT, f64: CLIENT_F64, text: CLIENT_TEXT },
    {
      user: 'alice',
      database: 'app',
      generation: 1,
      ...values,
      state: CLIENT_STATE[state],
    },
  )
}

/** A server connection in this state, of pool record 0 where `values` does not say another. */
export function writeServer(
  { memory }: RouterMemory,
  slot: number,
  state: ServerState,
  values: Numbers<Omit<typeof SERVER, 'state'>> & Numbers<typeof SERVER_F64> & Strings<typeof SERVER_TEXT> = {},
): void {
  write(
    memory.servers,
    slot,
    { i32: SERVER, f64: SERVER_F64, text: SERVER_TEXT },
    {
      pool: 1,
      generation: 1,
      ...values,
      state: SERVER_STATE[state],
    },
  )
}

/** The shard's id and its name have the same key in the layout. */
const POOL_I32 = { ...POOL, shard: -1, shardId: POOL.shard }

/** A pool record that is in use, of alice, app and the shard alpha where `values` does not say otherwise. */
export function writePool(
  { memory }: RouterMemory,
  record: number,
  values: Numbers<Omit<typeof POOL, 'state' | 'shard'>> & { shardId?: number } & Numbers<typeof POOL_F64> &
    Strings<typeof POOL_TEXT> = {},
): void {
  write(
    memory.pools,
    record,
    { i32: POOL_I32, f64: POOL_F64, text: POOL_TEXT },
    {
      database: 'app',
      user: 'alice',
      shard: 'alpha',
      serverDatabase: 'app_prod',
      serverUser: 'app_role',
      size: 20,
      ...values,
      state: 1,
    },
  )
}

/** Sets counts by bucket. */
export function writeHistogram(
  { memory }: RouterMemory,
  record: number,
  name: keyof typeof POOL_HISTOGRAM,
  counts: Readonly<Record<number, number>>,
): void {
  for (let bucket = 0; bucket < HISTOGRAM_BUCKETS; bucket++) {
    const at = record * (memory.pools.recordBytes >> 3) + POOL_HISTOGRAM[name] + bucket
    memory.pools.f64[at] = counts[bucket] ?? 0
  }
}

/** A plane that runs, and has just been awake. */
export function writePlane(
  { memory }: RouterMemory,
  plane: number,
  values: Numbers<typeof PLANE> & Numbers<typeof PLANE_F64> = {},
): void {
  write(memory.planes, plane, { i32: PLANE, f64: PLANE_F64, text: {} }, { pid: 4711, turnedAt: 99_900, ...values })
}
