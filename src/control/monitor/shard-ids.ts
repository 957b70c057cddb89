/**
 * Gives every shard name a number that is its own for as long as the router lives: shared memory and planes know shards
 * by it, so a name keeps it even while it is not configured, and nobody else ever gets it.
 */
export class ShardIds {
  readonly #ids: Map<string, number>
  #next: number

  /** `known`: what was given out before this process existed. */
  constructor(known: Iterable<readonly [name: string, id: number]>) {
    this.#ids = new Map(known)
    this.#next = Math.max(-1, ...this.#ids.values()) + 1
  }

  idOf(name: string): number {
    const known = this.#ids.get(name)
    if (known !== undefined) return known
    const id = this.#next
    this.#next++
    this.#ids.set(name, id)
    return id
  }
}
