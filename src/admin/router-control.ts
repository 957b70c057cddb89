import type { EventLog } from '../control/events/event-log.ts'
import type { AnalyzerState } from '../control/learning/learning.ts'
import type { LoadRates } from '../control/monitor/load-rates.ts'
import type { LoadSample } from '../control/monitor/load-sample.ts'
import type { OperationRecord, OperationRequest } from '../control/operations/operation.ts'
import type { ScalingState } from '../control/scaling/scaler.ts'
import type { DroppedClient, PreservationSummary } from '../memory/preservation.ts'
import type { SharedState } from '../memory/shared-state.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import type { ShardHealth as HealthState, Topology } from '../shard/topology.ts'

/** One line of SHOW CONFIG. Secrets are masked before they get here. */
export interface Setting {
  /** As in the configuration file, with its table: `pool.size`. */
  readonly key: string
  readonly value: string
  readonly default: string
  /** Whether RELOAD applies a change; otherwise it needs a restart. */
  readonly changeable: boolean
}

/** What the monitor knows of a shard. */
export interface ShardHealth {
  /** Shard id. */
  readonly shard: number
  readonly health: HealthState
  /** Monotonic milliseconds at which this health began. */
  readonly since: number
  /** What it said last of its load, and what it did per second of late; null: not known. */
  readonly load: LoadSample | null
  readonly rates: LoadRates | null
  /** One phrase: "accepts connections", "connection refused", "not probed yet". */
  readonly reason: string
  /** Monotonic milliseconds of the last finished probe; 0 = never. */
  readonly probedAt: number
}

/** Who a client was. */
type ClientName = Omit<DroppedClient, 'reason' | 'told'>

/** What became of one client. */
export type PreservedClient =
  | (ClientName & { readonly kept: true; readonly relocated: boolean })
  | (ClientName & { readonly kept: false; readonly reason: string; readonly told: boolean })

/** What became of the clients of a plane when it was upgraded, or crashed. */
export interface PreservationEntry extends PreservationSummary {
  readonly id: number
  /** Who they were; only of the last events. */
  readonly clients: readonly PreservedClient[]
}

/** What PAUSE and KILL hold back at this moment. */
export interface Pauses {
  readonly all: boolean
  readonly databases: readonly string[]
}

/** RELOAD's verdict on every setting that differs from before, by key. */
export interface ReloadReport {
  readonly applied: readonly string[]
  readonly needsRestart: readonly string[]
}

/**
 * - drain: refuse new clients, finish transactions, close idle clients, at the drain deadline close the rest. Like SIGTERM.
 * - wait-for-servers: the same, however long transactions take.
 * - wait-for-clients: refuse new clients and let the present ones stay for as long as they like.
 * - immediate: close everything now.
 */
export type ShutdownMode = 'drain' | 'wait-for-servers' | 'wait-for-clients' | 'immediate'

/**
 * What administration (console, HTTP) may see and do. The control process implements it; administration reads shared
 * memory itself, so that looking costs the planes nothing.
 *
 * Commands go to every plane and settle when all have answered. They reject with a RouterError that names the plane
 * and its reason when one did not: `57P03` when no plane is connected, `58000` when a plane refused or went away.
 */
export interface RouterControl {
  readonly version: string
  /** Monotonic milliseconds at which this router (not just this control process) started. */
  readonly startedAt: number
  readonly memory: SharedState

  /** The clock of all times in shared memory, in milliseconds (CLOCK_MONOTONIC). */
  nowMonotonic(): number
  /** The values that were last sent to the planes. */
  values(): PlaneValues
  topology(): Topology
  /** One entry for each shard of the topology. */
  health(): readonly ShardHealth[]
  settings(): readonly Setting[]
  pauses(): Pauses
  /** The tier model in use, and how far from its training the clients are. */
  analyzer(): AnalyzerState
  /** What control found out and decided of late. */
  events(): Pick<EventLog, 'events' | 'counts'>
  /** What an operator should know, one sentence each ("plane 0 is not connected"); empty on a good day. */
  troubles(): readonly string[]

  /**
   * New transactions of the database (null: of any) wait from now on; settles when no server connection of it is in use.
   * After a `resume` meanwhile it may settle or not: nobody waits for it any more.
   */
  pause(database: string | null): Promise<void>
  /** Ends PAUSE and KILL. */
  resume(database: string | null): Promise<void>
  /** Every present server connection is closed as soon as it is free; settles when all planes know. */
  reconnect(database: string | null): Promise<void>
  /** Closes clients and servers of the database (null: of any) at once and holds new clients until `resume`. */
  kill(database: string | null): Promise<void>
  /** Closes the client in this slot if it is still of this generation; a slot that was reused rejects with `22023`. */
  killClient(slot: number, generation: number): Promise<void>
  /**
   * Carries out an operation on shards, and settles when it is done. Rejects with `42704`, `55000`, `55006`, `0A000` before
   * anything is done, with `58000` when a step failed.
   */
  operate(request: OperationRequest): Promise<OperationRecord>
  /** Its steps in words; rejects like `operate`, and does nothing. */
  planOperation(request: OperationRequest): Promise<readonly string[]>
  /** Operations of late, the oldest first. */
  operations(): readonly OperationRecord[]
  /** Shards that were added, and what is thought of the number of shards. */
  scaling(): ScalingState
  /** Reads the configuration again. A mistake in it rejects with ConfigError and changes nothing. */
  reload(): Promise<ReloadReport>
  /** Newest first. */
  preservation(): readonly PreservationEntry[]
  /** How the upgrade goes that is under way, or how the last one went; '' when there was none. */
  upgradeStatus(): string
  /**
   * Has everything taken over by the program at this path (null: what the router was started from, as it is on disk now).
   * Settles with a sentence for the operator when that has begun; rejects with 55000 when nothing has happened, and why.
   */
  upgrade(program: string | null): Promise<string>
  /** Returns at once and begins on a later turn of the event loop, so that the answer to the console can leave first. */
  shutdown(mode: ShutdownMode): void
}
