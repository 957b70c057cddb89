/** Where a server is. */
export interface ShardPlace {
  readonly host: string
  readonly port: number
  /** On this machine, if Switchyard may stop and start it; null: it may not. */
  readonly dataDirectory: string | null
}

/**
 * What becomes of a shard that Switchyard has added.
 *
 * - creating: it is being made; nothing is sent there. Ends with `serving`, or with `leaving` when that fails.
 * - serving: a shard like those in the configuration.
 * - leaving: nothing is sent there any more; its server is to be destroyed. Ends with the end of the record.
 */
export type AddedShardState = 'creating' | 'serving' | 'leaving'

/** One shard that is in no configuration file. */
export interface AddedShard {
  readonly name: string
  readonly group: string
  /** The pool of the operator's that it was added to; null: none but the built-in ones. */
  readonly pool: string | null
  readonly driver: 'local' | 'exec'
  readonly state: AddedShardState
  /** Null: not known yet. */
  readonly place: ShardPlace | null
  readonly maxConnections: number
  readonly slots: number | null
  readonly zone: string | null
  /** The operation that makes it, for the driver: the same for every attempt. */
  readonly operation: string
  /** Milliseconds since 1970 at which it was begun, and at which it served; 0: not yet. */
  readonly begunAt: number
  readonly servingAt: number
}

const next: Record<AddedShardState, readonly AddedShardState[]> = {
  creating: ['serving', 'leaving'],
  serving: ['leaving'],
  leaving: [],
}

/** The shard in another state. Throws when that cannot follow; its own state may. */
export function inState(shard: AddedShard, state: AddedShardState): AddedShard {
  if (shard.state !== state && !next[shard.state].includes(state)) {
    throw new Error(`added shard ${shard.name}: ${state} while ${shard.state}`)
  }
  return { ...shard, state }
}

/**
 * A name for one more shard beside `primary`: its name with the lowest number that is free (`shard-1` → `shard-4`,
 * `orders` → `orders-2`).
 */
export function nextName(primary: string, taken: ReadonlySet<string>): string {
  const prefix = /\d$/.test(primary) ? primary.replace(/\d+$/, '') : `${primary}-`
  let number = 2
  while (taken.has(`${prefix}${number}`)) number++
  return `${prefix}${number}`
}
