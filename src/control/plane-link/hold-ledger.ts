import type { AnsweredCommand } from './plane-connection.ts'

/** Which shards are held while an operation works on them, so that a plane that starts later can be told. */
export class HoldLedger {
  /** Shard id → how long transactions may take to end. */
  readonly #held = new Map<number, number>()

  hold(shard: number, deadlineMs: number): void {
    this.#held.set(shard, deadlineMs)
  }

  release(shard: number): void {
    this.#held.delete(shard)
  }

  get shards(): readonly number[] {
    return [...this.#held.keys()]
  }

  /** What brings a fresh plane to this state. */
  commands(): readonly AnsweredCommand[] {
    return [...this.#held].map(([shard, deadlineMs]) => ({ op: 'hold', shard, deadlineMs }))
  }
}
