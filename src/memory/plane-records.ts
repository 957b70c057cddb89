import type { Region } from './region.ts'

/** i32 indexes within a plane record. */
export const PLANE = {
  pid: 0,
  generation: 1,
  valuesVersion: 2,
  topologyVersion: 3,
  draining: 4,
  /** Whose event is being served: its `slotMark`, 0 = nobody's. What a crash leaves here is whom it concerned. */
  slotInProgress: 5,
  /** Why the process that has this plane got it: a LOST_KIND of the one before. */
  lostKind: 6,
  /** The buffer of the plane's arena with what control has told it; 0: there is none. */
  ordersHandle: 7,
} as const

/** How a plane's process came to its end; 0 when there was none. */
export const LOST_KIND = { crashed: 1, released: 2 } as const

/** f64 indexes within a plane record: running totals of this plane process, where nothing else is said. */
export const PLANE_F64 = {
  startedAt: 8,
  /** Monotonic time of the last wake-up: a stuck reactor shows here. */
  turnedAt: 9,
  turns: 10,
  accepted: 11,
  refused: 12,
  loginFailures: 13,
  cancels: 14,
  protocolErrors: 15,
  internalErrors: 16,
  eventsDropped: 17,
  buffersInUse: 18,
  bufferBytesInUse: 19,
  heapBytes: 20,
  clientsClosed: 21,
  serversClosed: 22,
  serverLost: 23,
  /** Notifications that listening connections heard, and how many went to clients. */
  notifications: 24,
  notificationDeliveries: 25,
  /** Listening connections that broke: what was sent until the next one listened is lost. */
  listenersLost: 26,
  /** Clients closed because too many notifications waited for them. */
  slowListeners: 27,
  /** Since the router started: how often a process took the plane over from another one, and what became of its clients. */
  takeovers: 28,
  clientsKept: 29,
  clientsDropped: 30,
  /** Of the last take-over, milliseconds. */
  stallMs: 31,
  /** When the process before this one was lost, or asked to go; written by the keeper. */
  lostAt: 32,
  /** Of the analyzer: how often the model was asked, and did not answer; changes of tier, those that were taken back. */
  tierEvaluations: 40,
  tierAbstentions: 41,
  tierChanges: 42,
  tierFlaps: 43,
  runaways: 44,
  /** Snapshots for the history that found no room, because control did not read. */
  historyDropped: 45,
  /** Of COMMITs whose server connection was lost: what the new primary said of them, or nobody could. */
  commitsConfirmed: 46,
  commitsAborted: 47,
  commitsUnknown: 48,
  /** Reads of lower tiers that control had cancelled to help higher ones. */
  readsCancelled: 49,
  /** When server connections were lost: reads and transactions that were run again; of transactions, those that could not be, and that differed. */
  readsRepeated: 50,
  replays: 51,
  replaysRefused: 52,
  replaysFailed: 53,
  /** Of the value store: what sessions are written down with, `valueStoreBytes` at most. */
  valueBytesInUse: 54,
} as const

/** Totals that one process goes on with where the one before it stopped. */
export const LASTING_TOTALS: readonly (keyof typeof PLANE_F64)[] = [
  'takeovers',
  'clientsKept',
  'clientsDropped',
  'stallMs',
  'lostAt',
]

/** A plane's record as a value. */
export interface PlaneView {
  readonly plane: number
  readonly pid: number
  readonly valuesVersion: number
  readonly draining: boolean
  readonly totals: Readonly<Record<keyof typeof PLANE_F64, number>>
}

/** The record as a value, or null when no plane ever used it. */
export function readPlane(region: Region, plane: number): PlaneView | null {
  const i = plane * (region.recordBytes >> 2)
  const f = plane * (region.recordBytes >> 3)
  const pid = region.i32[i + PLANE.pid] ?? 0
  if (pid === 0) return null
  const totals = {} as Record<keyof typeof PLANE_F64, number>
  for (const [name, field] of Object.entries(PLANE_F64))
    totals[name as keyof typeof PLANE_F64] = region.f64[f + field] ?? 0
  return {
    plane,
    pid,
    valuesVersion: region.i32[i + PLANE.valuesVersion] ?? 0,
    draining: region.i32[i + PLANE.draining] === 1,
    totals,
  }
}
