import type { Region } from './region.ts'
import { SECTION } from './slot-section.ts'

/**
 * The server connection's life: free → connecting → login → idle ⇄ active; `tested` while an idle one proves it is
 * alive, `resetting` while a session's leftovers are discarded, `unlistening` while it forgets the channels of a session
 * that it listened for, `cancelling` while a cancel request may still hit it. `listening` is for life: it serves no client,
 * it hears notifications for all of them.
 */
export const SERVER_STATE = {
  free: 0,
  connecting: 1,
  login: 2,
  idle: 3,
  active: 4,
  tested: 5,
  resetting: 6,
  cancelling: 7,
  closing: 8,
  unlistening: 9,
  listening: 10,
} as const
export type ServerState = keyof typeof SERVER_STATE
/** The number of a state; see `clientStateCode`. */
export function serverStateCode(state: ServerState): number {
  if (state === 'active') return SERVER_STATE.active
  if (state === 'idle') return SERVER_STATE.idle
  return SERVER_STATE[state]
}
export const SERVER_STATE_NAMES = Object.keys(SERVER_STATE) as readonly ServerState[]

export const SERVER_FLAG = { tls: 1, unix: 2, replication: 4 } as const

/** i32 indexes within a server slot. */
export const SERVER = {
  state: 0,
  generation: 1,
  plane: 2,
  /** Client slot + 1 while attached, else 0. */
  client: 3,
  /** Pool record + 1. */
  pool: 4,
  transactionStatus: 5,
  flags: 6,
  /** What the kernel counts as written before the first byte is. */
  writtenBase: 7,
  remotePort: 8,
  localPort: 9,
  backendPid: 10,
  cancelKeyBytes: 11,
  outstanding: 12,
  inboxHandle: 13,
  /** Ids in the value store: what it reported at login, and what kind of connection it is. */
  reportedId: 14,
  targetId: 19,
  /** 1: the slot is free, but tells of a backend that somebody has left at work and that is to be cancelled. */
  abandoned: 20,
  inboxBytes: 15,
  outboxHandle: 16,
  outboxStart: 17,
  outboxBytes: 18,
  bodyRemaining: 22,
  prepared: 23,
  /** Of a listening connection: channels, and the clients that listen through it. */
  channels: 24,
  listeners: 25,
  /** How nice its backend has been made, 0 to 19. */
  niceness: 30,
} as const

/**
 * f32 indexes within a server slot: what its process has used lately, written by control. Part of one CPU, megabytes of its
 * own, kilobytes a second; NaN: not known. They count once `SERVER_F64.usageAt` is not 0.
 */
export const SERVER_F32 = { cpu: 26, memory: 27, read: 28, write: 29 } as const

/** f64 indexes within a server slot. Times are monotonic milliseconds, 0 = none. */
export const SERVER_F64 = {
  connectedAt: 16,
  requestAt: 17,
  idleSince: 18,
  /** Of a listening connection: notifications that came, and how many went to clients. */
  notifications: 19,
  deliveries: 20,
  /** When control wrote `SERVER_F32` last. */
  usageAt: 21,
  bytesRead: 22,
  bytesWritten: 23,
  transactions: 24,
  queries: 25,
} as const

export const SERVER_TEXT = {
  cancelKey: { offset: 208, capacity: 256 },
  address: { offset: 464, capacity: 112 },
  tls: { offset: 576, capacity: 48 },
  serverVersion: { offset: 624, capacity: 64 },
} as const

/** Where a slot has its two sections, in bytes: see `slot-section.ts`. */
export const SERVER_SECTIONS = 704

/** i32 indexes within a server connection's section, behind those that all have. */
export const SERVER_SECTION = {
  status: SECTION.own,
  /** How many answers are owed, and, where they fit, which: a byte each. */
  owed: SECTION.own + 1,
  unnamedOwner: SECTION.own + 2,
  hidesSettingsOf: SECTION.own + 3,
  /** Id of its settings in the value store. */
  parametersId: SECTION.own + 4,
  statementsHandle: SECTION.own + 5,
  statementsBytes: SECTION.own + 6,
  replies: SECTION.own + 7,
} as const
/** So many owed answers fit into a section. */
export const SECTION_REPLIES = 32

/** Bits of `SECTION.flags` of a server connection. */
export const SERVER_STEP = {
  /** It is in the middle of something, and cannot be gone on with. */
  torn: 1,
  skipping: 2,
  unfinished: 4,
  copyEnded: 8,
  bodyIsForClient: 16,
  copyingIn: 32,
  copyingBoth: 64,
  listens: 128,
  /** A cancel request may still hit it. */
  cancelling: 256,
  /** A tier has taken its parallel workers away. */
  serial: 512,
} as const

/** What `SHOW SERVERS` prints of one slot; user, database and shard are its pool record's. */
export interface ServerView {
  readonly slot: number
  readonly state: ServerState
  readonly plane: number
  readonly client: number | null
  readonly pool: number
  readonly tls: string
  readonly address: string
  readonly remotePort: number
  readonly localPort: number
  readonly backendPid: number
  readonly serverVersion: string
  readonly transactionStatus: string
  readonly outstanding: number
  readonly preparedStatements: number
  readonly channels: number
  readonly listeners: number
  /** 0 to 19. */
  readonly niceness: number
  readonly notifications: number
  readonly deliveries: number
  readonly connectedAt: number
  readonly requestAt: number
  readonly bytesRead: number
  readonly bytesWritten: number
  readonly transactions: number
  readonly queries: number
}

/** The slot as a value, or null when it is free. */
export function readServer(region: Region, slot: number): ServerView | null {
  const i = slot * (region.recordBytes >> 2)
  // Before anything else, as most slots are free most of the time.
  const state = SERVER_STATE_NAMES[region.i32[i + SERVER.state] ?? 0]
  if (state === undefined || state === 'free') return null
  const f = slot * (region.recordBytes >> 3)
  const number = (field: number): number => region.i32[i + field] ?? 0
  const time = (field: number): number => region.f64[f + field] ?? 0
  const status = number(SERVER.transactionStatus)
  return {
    slot,
    state,
    plane: number(SERVER.plane),
    client: number(SERVER.client) === 0 ? null : number(SERVER.client) - 1,
    pool: number(SERVER.pool) - 1,
    tls: (number(SERVER.flags) & SERVER_FLAG.tls) === 0 ? '' : region.readText(slot, SERVER_TEXT.tls.offset),
    address: region.readText(slot, SERVER_TEXT.address.offset),
    remotePort: number(SERVER.remotePort),
    localPort: number(SERVER.localPort),
    backendPid: number(SERVER.backendPid),
    serverVersion: region.readText(slot, SERVER_TEXT.serverVersion.offset),
    transactionStatus: status === 0 ? '' : String.fromCharCode(status),
    outstanding: number(SERVER.outstanding),
    preparedStatements: number(SERVER.prepared),
    channels: number(SERVER.channels),
    listeners: number(SERVER.listeners),
    niceness: number(SERVER.niceness),
    notifications: time(SERVER_F64.notifications),
    deliveries: time(SERVER_F64.deliveries),
    connectedAt: time(SERVER_F64.connectedAt),
    requestAt: time(SERVER_F64.requestAt),
    bytesRead: time(SERVER_F64.bytesRead),
    bytesWritten: time(SERVER_F64.bytesWritten),
    transactions: time(SERVER_F64.transactions),
    queries: time(SERVER_F64.queries),
  }
}
