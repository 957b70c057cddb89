import type { ParameterSet } from '../session/parameters.ts'
import type { PoolMode } from '../shard/plane-values.ts'
import type { ServerTarget } from './server-target.ts'

/** What makes two clients share server connections. */
export interface PoolKey {
  /** The name clients ask for. */
  readonly database: string
  readonly user: string
  readonly target: ServerTarget
  readonly mode: PoolMode
}

/** What a fresh session finds. */
export interface PoolWelcome {
  readonly reported: ReadonlyMap<string, string>
  readonly baseline: ParameterSet
}

export interface PoolSettings {
  readonly size: number
  readonly minSize: number
}
