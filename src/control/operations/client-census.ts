import { CLIENT, type ClientView, readClient } from '../../memory/client-slots.ts'
import { countLostWork, type LostWorkCounts, lostWorkSince } from '../../memory/lost-work.ts'
import { readPool } from '../../memory/pool-records.ts'
import {
  type DroppedClient,
  type OutcomeBatch,
  type PreservationSummary,
  stateOfItsOwn,
} from '../../memory/preservation.ts'
import type { SharedState } from '../../memory/shared-state.ts'
import type { EarlierLosses } from './recent-losses.ts'

/** An operation, as the report of it is called. */
export type ReportedOperation = 'restart' | 'switchover' | 'patch' | 'failover'

interface Counted {
  readonly generation: number
  readonly view: ClientView
}

/** What became of clients, and who they were. */
export interface CensusResult {
  readonly summary: PreservationSummary
  readonly batches: readonly OutcomeBatch[]
}

/** Who was a client of a group's shards when an operation began, to tell at its end what became of each. */
export class ClientCensus {
  readonly #memory: SharedState
  readonly #beganAt: number
  readonly #counted: readonly Counted[]
  readonly #work: LostWorkCounts
  readonly #earlier: readonly DroppedClient[]

  /** `shards`: ids. `beganAt`: monotonic milliseconds. `earlier`: what was lost before, and belongs to it. */
  constructor(memory: SharedState, shards: ReadonlySet<number>, beganAt: number, earlier: EarlierLosses | null = null) {
    this.#memory = memory
    this.#beganAt = beganAt
    this.#counted = [...clientsOf(memory, shards)]
    this.#work = earlier?.work ?? countLostWork(memory)
    const isCounted = ({ slot, generation }: DroppedClient): boolean =>
      this.#counted.some((each) => each.view.slot === slot && each.generation === generation)
    this.#earlier = (earlier?.clients ?? []).filter((client) => !isCounted(client))
  }

  /** Now that it is over. `heldMs`: for how long requests had no place to go. */
  end(event: ReportedOperation, heldMs: number): CensusResult {
    const kept: number[] = []
    const relocated: number[] = []
    const dropped: DroppedClient[] = [...this.#earlier]
    for (const { generation, view } of this.#counted) {
      const isSame = generationOf(this.#memory, view.slot) === generation
      const now = isSame ? readClient(this.#memory.clients, view.slot) : null
      // One that has had its last words is gone, though it may not have read them.
      if (now === null || now.state === 'closing') dropped.push(describe(view, generation))
      else {
        kept.push(view.slot, generation)
        if (now.relocations !== view.relocations) relocated.push(view.slot)
      }
    }
    const reasons: Record<string, number> = {}
    for (const { reason } of dropped) reasons[reason] = (reasons[reason] ?? 0) + 1
    const told = dropped.filter((client) => client.told).length
    const work = lostWorkSince(this.#work, countLostWork(this.#memory))
    const counts = { kept: kept.length / 2, relocated: relocated.length, dropped: dropped.length, told, reasons }
    const summary = { event, plane: 0, beganAt: this.#beganAt, stallMs: Math.round(heldMs), ...counts, work }
    return { summary, batches: [{ kept, relocated }, { dropped }] }
  }
}

function* clientsOf(memory: SharedState, shards: ReadonlySet<number>): Generator<Counted> {
  for (let slot = 0; slot < memory.clients.count; slot++) {
    const view = readClient(memory.clients, slot)
    if (view === null || view.console || view.pool === null || view.state === 'closing') continue
    const pool = readPool(memory.pools, view.pool)
    if (pool !== null && shards.has(pool.shardId)) yield { generation: generationOf(memory, slot), view }
  }
}

function generationOf({ clients }: SharedState, slot: number): number {
  return (clients.i32[slot * (clients.recordBytes >> 2) + CLIENT.generation] ?? 0) >>> 0
}

function describe(view: ClientView, generation: number): DroppedClient {
  const { slot, user, database, applicationName, address, remotePort, pins } = view
  const isPinned = pins.length > 0
  const reason = isPinned ? stateOfItsOwn(pins) : 'it left meanwhile'
  return { slot, generation, user, database, applicationName, address, remotePort, reason, told: isPinned }
}
