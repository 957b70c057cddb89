import { readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type AddedShard, type AddedShardState, inState, type ShardPlace } from './added-shard.ts'
import type { UnitMemory } from './scale-plan.ts'

/** The time for which an added shard was paid for. Milliseconds since 1970. */
export interface Lifetime {
  readonly from: number
  readonly to: number
}

/** What is remembered of a unit when control is restarted. */
export type KeptMemory = Pick<UnitMemory, 'failures' | 'regrets' | 'fullAt'> & {
  /** Milliseconds since 1970; 0: never. */
  readonly lastOutAt: number
  readonly lastInAt: number
  readonly failedAt: number
}

interface ScalingState {
  readonly shards: readonly AddedShard[]
  /** Of shards that are gone. */
  readonly ended: readonly Lifetime[]
  readonly units: Readonly<Record<string, KeptMemory>>
  readonly readyMs: number
}

const FILE = 'scaling.json'
const EMPTY: ScalingState = { shards: [], ended: [], units: {}, readyMs: 30_000 }
const DAY_MS = 86_400_000
const HOUR_MS = 3_600_000

/**
 * The shards that Switchyard has added, in the file `scaling.json` of the data directory: they outlive control, router and
 * machine. Written whole at every change, by one process.
 */
export class AddedShards {
  readonly #path: string
  #state: ScalingState

  /** `ignored` hears of a file that is not what was written; it is begun anew. */
  constructor(dataDirectory: string, ignored: (reason: string) => void) {
    this.#path = join(dataDirectory, FILE)
    this.#state = this.#read(ignored)
  }

  get all(): readonly AddedShard[] {
    return this.#state.shards
  }

  get(name: string): AddedShard | null {
    return this.all.find((shard) => shard.name === name) ?? null
  }

  /** How long it took to make the last one. Milliseconds. */
  get readyMs(): number {
    return this.#state.readyMs
  }

  noteReady(readyMs: number): void {
    this.#write({ ...this.#state, readyMs })
  }

  /** Adds a record, or puts it in the place of the one of its name. */
  put(shard: AddedShard): void {
    const others = this.all.filter(({ name }) => name !== shard.name)
    this.#write({ ...this.#state, shards: [...others, shard] })
  }

  /** Where it is now; does nothing for a shard that was not added. */
  place(name: string, place: ShardPlace): void {
    const shard = this.get(name)
    if (shard !== null) this.put({ ...shard, place })
  }

  /** Throws when there is no such shard, or when that state cannot follow. */
  move(name: string, state: AddedShardState): AddedShard {
    const shard = this.get(name)
    if (shard === null) throw new Error(`there is no added shard ${name}`)
    const moved = inState(shard, state)
    this.put(moved)
    return moved
  }

  /** Nothing is left of it. `now`: milliseconds since 1970. */
  forget(name: string, now: number): void {
    const shard = this.get(name)
    if (shard === null) return
    const ended = [...this.#state.ended, { from: shard.begunAt, to: now }].filter(({ to }) => to > now - DAY_MS)
    this.#write({ ...this.#state, ended, shards: this.all.filter((each) => each !== shard) })
  }

  /** Hours that added shards have lived in the 24 hours before `now`, which is in milliseconds since 1970. */
  spentHours(now: number): number {
    const living = this.all.map(({ begunAt }) => ({ from: begunAt, to: now }))
    const spent = [...this.#state.ended, ...living].map(({ from, to }) =>
      Math.max(0, to - Math.max(from, now - DAY_MS)),
    )
    return spent.reduce((sum, each) => sum + each, 0) / HOUR_MS
  }

  unit(key: string): KeptMemory | null {
    return this.#state.units[key] ?? null
  }

  keepUnit(key: string, memory: KeptMemory): void {
    this.#write({ ...this.#state, units: { ...this.#state.units, [key]: memory } })
  }

  #write(state: ScalingState): void {
    this.#state = state
    const temporary = `${this.#path}.new`
    writeFileSync(temporary, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 })
    renameSync(temporary, this.#path)
  }

  #read(ignored: (reason: string) => void): ScalingState {
    try {
      const state: unknown = JSON.parse(readFileSync(this.#path, 'utf8'))
      if (isState(state)) return { ...EMPTY, ...state }
      ignored(`${this.#path} is not a list of added shards`)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') ignored(`${this.#path} cannot be read: ${String(error)}`)
    }
    return EMPTY
  }
}

function isState(value: unknown): value is ScalingState {
  if (typeof value !== 'object' || value === null || !('shards' in value) || !('ended' in value)) return false
  return Array.isArray(value.shards) && Array.isArray(value.ended)
}
