import { collapseToHugePages } from '../io/huge-pages.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { type Poller, READABLE } from '../io/poller.ts'
import type { Heap } from './idle-collector.ts'
import { KeptOrders } from './kept-orders.ts'
import type { LockedMemory, PlaneRing } from './plane-resources.ts'
import { rehearse } from './rehearsal.ts'
import { TakeOverRehearsal } from './take-over-rehearsal.ts'

/** A start takes so much longer at most. */
const REHEARSAL_MS = 1500
/** Nobody waits for a standby, which has less of the processors, and is worth little where it has not rehearsed. */
const STANDBY_REHEARSAL_MS = 5000
/** By then V8 has compiled what queries run through. */
const REHEARSAL_REQUESTS = 10_000

export interface PreparationOptions {
  readonly planeIndex: number
  readonly generation: number
  readonly runDirectory: string
  /** 'x64' and the like. */
  readonly architecture: string
  readonly pid: number
  /** Monotonic milliseconds, the same clock in every process of this machine. */
  readonly clock: () => number
  readonly heap: Heap
  /** False: memory stays on pages of the usual size. */
  readonly useHugePages: boolean
  /** Whether it rehearses before it serves. */
  readonly rehearses: boolean
}

/**
 * Whatever makes a plane fast from the start, for as long as nobody waits for it, or, when there has been none before it, to the end.
 * Returns what went wrong in the rehearsal, which is not important: it serves without, slower for some seconds.
 */
export function prepare(
  options: PreparationOptions,
  poller: Poller,
  channel: OwnedFd,
  queue: PlaneRing['queue'],
  memory: LockedMemory,
): string | null {
  const key = poller.add(channel, READABLE, { onReady: () => {} })
  const isOver = (): boolean => options.generation > 1 && poller.wait(0) > 0
  const failure = options.rehearses ? rehearseAll(options, queue, memory, isOver) : null
  // Not least, the parser's memory becomes old: as long as it is young, each collection may take four times as long.
  options.heap.collect()
  // Nearly all that a query touches is there now.
  if (options.useHugePages) collapseToHugePages(isOver)
  poller.remove(key, channel)
  return failure
}

/** Rehearses queries, and then what it is on standby for. Returns what went wrong. */
function rehearseAll(
  options: PreparationOptions,
  queue: PlaneRing['queue'],
  { arena, shared }: LockedMemory,
  isOver: () => boolean,
): string | null {
  const { architecture, clock, runDirectory, pid, generation, planeIndex } = options
  const example = new KeptOrders(arena, shared.planes, planeIndex).peek()?.values ?? null
  const parts = { architecture, clock, queue, example, socketPath: `${runDirectory}/warm-${pid}.sock` }
  try {
    const mostMs = generation > 1 ? STANDBY_REHEARSAL_MS : REHEARSAL_MS
    rehearse({ ...parts, mostMs, mostRequests: REHEARSAL_REQUESTS, isOver })
    return generation > 1 ? TakeOverRehearsal.run({ ...parts, isOver }).failure : null
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return error.message
  }
}
