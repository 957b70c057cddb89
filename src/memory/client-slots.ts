import { type Tier, tierOf } from '../shard/tier.ts'
import type { Region } from './region.ts'
import { SECTION } from './slot-section.ts'

/**
 * The client's life, as operators see it (PgBouncer's words where it has one):
 * free → login → idle ⇄ waiting ⇄ active → closing → free. `idle` clients hold no server connection.
 */
export const CLIENT_STATE = { free: 0, login: 1, idle: 2, waiting: 3, active: 4, closing: 5 } as const
export type ClientState = keyof typeof CLIENT_STATE
/** The number of a state. Compared one by one: V8 looks a property up by a name that changes through its slowest way. */
export function clientStateCode(state: ClientState): number {
  if (state === 'idle') return CLIENT_STATE.idle
  if (state === 'active') return CLIENT_STATE.active
  if (state === 'waiting') return CLIENT_STATE.waiting
  return CLIENT_STATE[state]
}
export const CLIENT_STATE_NAMES = Object.keys(CLIENT_STATE) as readonly ClientState[]

/** Why a session keeps its server connection; bits of `pins`. */
export const PIN = {
  sessionMode: 1 << 0,
  setting: 1 << 1,
  temporaryObject: 1 << 2,
  advisoryLock: 1 << 3,
  holdCursor: 1 << 4,
  listen: 1 << 5,
  sqlPrepare: 1 << 6,
  sequence: 1 << 7,
  load: 1 << 8,
  unknownFunction: 1 << 9,
  undecidedStatement: 1 << 10,
  replication: 1 << 11,
  console: 1 << 12,
  randomSeed: 1 << 13,
  longStatement: 1 << 14,
} as const
export type PinReason = keyof typeof PIN

/** The names of the reasons in PIN bits. */
export function pinReasons(bits: number): readonly PinReason[] {
  return (Object.keys(PIN) as PinReason[]).filter((reason) => (bits & PIN[reason]) !== 0)
}

export const CLIENT_FLAG = { tls: 1, unix: 2, console: 4, refused: 8 } as const

/** i32 indexes within a client slot. */
export const CLIENT = {
  state: 0,
  generation: 1,
  plane: 2,
  /** Server slot + 1 while attached, else 0. */
  server: 3,
  /** Pool record + 1 of the last route, else 0. */
  pool: 4,
  transactionStatus: 5,
  flags: 6,
  pins: 7,
  remotePort: 8,
  localPort: 9,
  protocolVersion: 10,
  cancelKeyBytes: 11,
  /** Requests sent to the server whose ReadyForQuery has not come. */
  outstanding: 12,
  /** Where bytes wait in the plane's arena: buffer handle (0 = none), first byte, byte count. Inboxes start at 0. */
  inboxHandle: 13,
  /** The session's number, unique in its plane and its successors. */
  serial: 14,
  inboxBytes: 15,
  outboxHandle: 16,
  outboxStart: 17,
  outboxBytes: 18,
  /** Bytes of the frame body still to be forwarded. */
  bodyRemaining: 22,
  prepared: 23,
  /** Channels it listens to. */
  channels: 24,
  /** Ids in the plane's value store: who it is, its settings after login and now, its prepared statements; 0 = none. */
  identityId: 25,
  initialId: 26,
  /** Valid only while this one is not 0. */
  parametersId: 27,
  statementsId: 28,
  /** How often it has left a server connection with its state, to have it again on another one. */
  relocations: 29,
  /** `tierCode` of the tier that counts for it at the moment. */
  tier: 30,
} as const

/** f64 indexes within a client slot. Times are monotonic milliseconds, 0 = none. */
export const CLIENT_F64 = {
  connectedAt: 16,
  requestAt: 17,
  waitingSince: 18,
  transactionAt: 19,
  queryAt: 20,
  pinnedAt: 21,
  bytesRead: 22,
  bytesWritten: 23,
  transactions: 24,
  queries: 25,
} as const

/** Byte offsets and capacities within a client slot. */
export const CLIENT_TEXT = {
  cancelKey: { offset: 208, capacity: 32 },
  address: { offset: 240, capacity: 48 },
  user: { offset: 288, capacity: 64 },
  database: { offset: 352, capacity: 64 },
  applicationName: { offset: 416, capacity: 64 },
  tls: { offset: 480, capacity: 48 },
} as const

/** Where a slot has its two sections, in bytes: see `slot-section.ts`. */
export const CLIENT_SECTIONS = 528

/** i32 indexes within a client's section, behind those that all have. */
export const CLIENT_SECTION = {
  pins: SECTION.own,
  /** Ids in the value store. */
  initialId: SECTION.own + 1,
  parametersId: SECTION.own + 2,
  /** The prepared statements: an id, or, when they have just changed, a buffer. */
  statementsId: SECTION.own + 3,
  statementsHandle: SECTION.own + 4,
  statementsBytes: SECTION.own + 5,
  /** The tail of the unnamed statement. */
  unnamedHandle: SECTION.own + 6,
  unnamedBytes: SECTION.own + 7,
  /** Behind how many more ReadyForQuery the last text that ends a transaction is answered. */
  endsAfter: SECTION.own + 8,
  /** How many changes of the unnamed statement are not confirmed, where no others are: those are in the extra buffer. */
  unnamedChanges: SECTION.own + 9,
} as const

/** Bits of `SECTION.flags` of a client. */
export const CLIENT_STEP = {
  /** It is in the middle of something, and cannot be gone on with. */
  torn: 1,
  heldBack: 1 << 1,
  peerEnded: 1 << 2,
  bodyGoesOn: 1 << 3,
  /** The rest of a text is still to come that was looked at so far. */
  passing: 1 << 4,
  /** Its server connection has not been put into its state yet, or has lost something of it. */
  fresh: 1 << 5,
  stale: 1 << 6,
  onlyBegun: 1 << 7,
  transactionLost: 1 << 8,
  mayCommit: 1 << 9,
  restoring: 1 << 10,
  touching: 1 << 11,
  clearing: 1 << 12,
  clears: 1 << 13,
  /** A statement too long to be kept is unnamed, or has the client's own name. */
  longUnnamed: 1 << 14,
  foreignName: 1 << 15,
  /** There was no room to write all of it down. */
  unsaved: 1 << 16,
  /** It runs something again, and can begin with that once more. Older versions take it for torn, which is said as well. */
  replaying: 1 << 17,
} as const

/** What `SHOW CLIENTS` prints of one slot. */
export interface ClientView {
  readonly slot: number
  readonly state: ClientState
  readonly plane: number
  readonly server: number | null
  readonly pool: number | null
  readonly pins: readonly PinReason[]
  readonly tls: string
  readonly unix: boolean
  readonly console: boolean
  readonly address: string
  readonly remotePort: number
  readonly localPort: number
  readonly user: string
  readonly database: string
  readonly applicationName: string
  readonly tier: Tier
  readonly transactionStatus: string
  readonly outstanding: number
  readonly preparedStatements: number
  readonly channels: number
  readonly relocations: number
  readonly connectedAt: number
  readonly requestAt: number
  readonly waitingSince: number
  readonly pinnedAt: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly transactions: number
  readonly queries: number
}

/** The slot as a value, or null when it is free. */
export function readClient(region: Region, slot: number): ClientView | null {
  const i = slot * (region.recordBytes >> 2)
  // Before anything else, as most slots are free most of the time.
  const state = CLIENT_STATE_NAMES[region.i32[i + CLIENT.state] ?? 0]
  if (state === undefined || state === 'free') return null
  const f = slot * (region.recordBytes >> 3)
  const number = (field: number): number => region.i32[i + field] ?? 0
  const time = (field: number): number => region.f64[f + field] ?? 0
  const text = (field: { offset: number }): string => region.readText(slot, field.offset)
  const status = number(CLIENT.transactionStatus)
  return {
    slot,
    state,
    plane: number(CLIENT.plane),
    server: number(CLIENT.server) === 0 ? null : number(CLIENT.server) - 1,
    pool: number(CLIENT.pool) === 0 ? null : number(CLIENT.pool) - 1,
    pins: pinReasons(number(CLIENT.pins)),
    tls: (number(CLIENT.flags) & CLIENT_FLAG.tls) === 0 ? '' : text(CLIENT_TEXT.tls),
    unix: (number(CLIENT.flags) & CLIENT_FLAG.unix) !== 0,
    console: (number(CLIENT.flags) & CLIENT_FLAG.console) !== 0,
    address: text(CLIENT_TEXT.address),
    remotePort: number(CLIENT.remotePort),
    localPort: number(CLIENT.localPort),
    user: text(CLIENT_TEXT.user),
    database: text(CLIENT_TEXT.database),
    applicationName: text(CLIENT_TEXT.applicationName),
    tier: tierOf(number(CLIENT.tier)),
    transactionStatus: status === 0 ? '' : String.fromCharCode(status),
    outstanding: number(CLIENT.outstanding),
    preparedStatements: number(CLIENT.prepared),
    channels: number(CLIENT.channels),
    relocations: number(CLIENT.relocations),
    connectedAt: time(CLIENT_F64.connectedAt),
    requestAt: time(CLIENT_F64.requestAt),
    waitingSince: time(CLIENT_F64.waitingSince),
    pinnedAt: time(CLIENT_F64.pinnedAt),
    bytesRead: time(CLIENT_F64.bytesRead),
    bytesWritten: time(CLIENT_F64.bytesWritten),
    transactions: time(CLIENT_F64.transactions),
    queries: time(CLIENT_F64.queries),
  }
}
