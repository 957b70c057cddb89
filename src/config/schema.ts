import type { AnySection, SectionValue } from './key.ts'
import { auth, hba, users } from './schema/access.ts'
import { adjust } from './schema/adjust.ts'
import { analyzer } from './schema/analyzer.ts'
import { failover, operations, replay } from './schema/continuity.ts'
import { data, limits, log, pool, timeouts } from './schema/limits.ts'
import { admin, clientTls, http, listen, serverTls } from './schema/listeners.ts'
import { scaling } from './schema/scaling.ts'
import { databases, monitor, shards } from './schema/shards.ts'
import { routing, shardPools, tierBackground, tierHigh, tierLow, tierMedium, tierRules, tiers } from './schema/tiers.ts'

/** Every key of the configuration file, in the order of the documentation. */
export const schema = {
  listen,
  http,
  admin,
  shards,
  databases,
  monitor,
  tiers,
  tierHigh,
  tierMedium,
  tierLow,
  tierBackground,
  tierRules,
  shardPools,
  routing,
  adjust,
  analyzer,
  operations,
  replay,
  failover,
  scaling,
  users,
  auth,
  hba,
  clientTls,
  serverTls,
  pool,
  limits,
  timeouts,
  log,
  data,
}

/** The same, to walk over. */
export const sections: readonly AnySection[] = Object.values(schema)

/** What stands in the file, with defaults, in JavaScript's manner: camelCase, milliseconds, bytes. Deeply frozen. */
export type Config = {
  readonly [Name in keyof typeof schema]: SectionValue<(typeof schema)[Name]>
} & {
  /** Where it comes from, as the operator named it. */
  readonly file: string
}

export type DatabaseConfig = Config['databases'][number]
export type UserConfig = Config['users'][number]
export type ShardConfig = Config['shards'][number]
export type HbaConfig = Config['hba'][number]
