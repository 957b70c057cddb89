import type { ShardPlace } from '../added-shard.ts'

/** A shard that is to be made, or of which nothing is to be left. */
export interface ScaleOrder {
  readonly name: string
  readonly group: string
  readonly pool: string | null
  /** The same for all that is done about this shard, whoever asks for it again. */
  readonly operation: string
  /** Where it is, as far as that is known: from an attempt before this one. */
  readonly place: ShardPlace | null
  /** The shard that it copies and follows; null: there is none at the moment. */
  readonly primary: { readonly name: string; readonly host: string; readonly port: number } | null
  /** Names of all shards of the group. */
  readonly members: readonly string[]
}

/** Makes servers and destroys them. Everything may be asked for again after it was interrupted or has failed. */
export interface ScaleDriver {
  readonly kind: 'local' | 'exec'
  /** Settles when the server runs, or at least its place is known; rejects when it cannot be made, and with `signal`'s reason. */
  create(order: ScaleOrder, signal: AbortSignal): Promise<ShardPlace>
  /** Settles when nothing is left of it: no process, no files, and nothing that keeps log for it. */
  destroy(order: ScaleOrder): Promise<void>
}
