import type { Shard, Topology } from '../../shard/topology.ts'
import type { ShardDriver } from '../scaling/drivers/shard-driver.ts'
import type { ScaleChoice, ScaleWorld } from '../scaling/scale-world.ts'

/** What an operator may ask for. Shards and groups go by name. */
export type OperationRequest =
  | { readonly kind: 'restart'; readonly shard: string }
  | { readonly kind: 'drain'; readonly shard: string }
  | { readonly kind: 'undrain'; readonly shard: string }
  /** `to` null: the replica that is least behind. `from`: the primary when it began; null: it has not begun. */
  | { readonly kind: 'switchover'; readonly group: string; readonly to: string | null; readonly from: string | null }
  /** `binDirectory` null: the programs that are installed now where the old ones were. */
  | { readonly kind: 'patch'; readonly group: string; readonly binDirectory: string | null }
  /** Nobody asks for this one: a primary was lost. */
  | { readonly kind: 'failover'; readonly group: string; readonly lost: string }
  /** Nor for this: a server of the group does not follow its primary. */
  | { readonly kind: 'rejoin'; readonly group: string; readonly shard: string }
  /** `target`: a group or a pool. `choice`: what was decided when it began; null: it has not begun. */
  | { readonly kind: 'scale-out'; readonly target: string; readonly choice: ScaleChoice | null }
  /** `shard` null: the added one that is needed least. */
  | { readonly kind: 'scale-in'; readonly shard: string | null }

/** One step of a script. What it did already when it was interrupted is not done twice. */
export interface OperationStep {
  /** In words that say what is going to happen, and what has happened: "stop shard-1". */
  readonly text: string
  run(): Promise<void>
}

/** Steps from the first to the last, and the way back when one of them fails. */
export interface OperationScript {
  readonly steps: readonly OperationStep[]
  /** A step has failed: leaves the shards as useful as can be. Requests that are held go on afterwards. */
  recover?(): Promise<void>
  /** The request, with what was decided about it: this is what an interrupted operation goes on with. */
  readonly decided?: OperationRequest
}

export type OperationState = 'running' | 'done' | 'failed'

/** What is known of an operation, for people and for the control process that goes on with it. */
export interface OperationRecord {
  readonly id: number
  readonly request: OperationRequest
  readonly state: OperationState
  /** The step it is at, or was at when it failed; empty before and after. */
  readonly step: string
  readonly done: number
  readonly steps: number
  /** Milliseconds since 1970; 0: not yet. */
  readonly startedAt: number
  readonly endedAt: number
  /** For how long requests to the shard were held; 0: they were not. Milliseconds. */
  readonly heldMs: number
  /** Shards that a PATCH has finished with. */
  readonly finished: readonly string[]
  /** Why it failed, or what is worth knowing; empty: nothing. */
  readonly detail: string
}

/** What scripts see of the router and its shards, and may do to them. */
export interface OperationWorld {
  topology(): Topology
  /** Who does the server's part for this shard; throws RouterError when nobody does. */
  driver(shard: Shard): ShardDriver
  /**
   * Requests to the shard wait from now on; settles when none runs there any more, or the time for that is over: `patienceMs`,
   * or what the configuration says of operations.
   */
  hold(shard: Shard, patienceMs?: number): Promise<void>
  /** The same without patience: what runs there is cut off. */
  cut(shard: Shard): Promise<void>
  release(shard: Shard): Promise<void>
  /** The shard should be looked at now. */
  probe(shard: Shard): void
  /** The shard has said itself that it is the primary. */
  knowPrimary(shard: Shard): void
  /** Held requests have a place to go again. */
  goesOn(): void
  /** Settles when the topology is like that; rejects after `timeoutMs`. */
  until(what: string, isSo: (topology: Topology) => boolean, timeoutMs: number): Promise<void>
  /** Settles when the shard answers; rejects after `timeoutMs`. */
  untilUp(shard: Shard, timeoutMs: number): Promise<void>
  setDrained(shard: Pick<Shard, 'name'>, drained: boolean): void
  /** What is done to added shards. */
  readonly scale: ScaleWorld
  /** Aborted when the operation has to make way. */
  readonly signal: AbortSignal
  /** Shards that this operation was finished with before it was interrupted, and one more. */
  readonly finished: readonly string[]
  finish(shard: string): void
  /** For the log and the operation's record. */
  say(message: string): void
}

/** As the operator wrote it. */
export function requestText(request: OperationRequest): string {
  switch (request.kind) {
    case 'restart':
    case 'drain':
    case 'undrain':
      return `${request.kind.toUpperCase()} ${request.shard}`
    case 'switchover':
      return `SWITCHOVER ${request.group}${request.to === null ? '' : ` TO ${request.to}`}`
    case 'patch':
      return `PATCH ${request.group}${request.binDirectory === null ? '' : ` TO '${request.binDirectory}'`}`
    case 'failover':
      return `failover of ${request.group}, which lost ${request.lost}`
    case 'rejoin':
      return `rejoining of ${request.shard} in ${request.group}`
    case 'scale-out':
      return `SCALE OUT ${request.target}`
    case 'scale-in':
      return `SCALE IN${request.shard === null ? '' : ` ${request.shard}`}`
  }
}
