import { fitsSocketPath } from './network-address.ts'
import { type ConfigProblems, enumerate } from './problems.ts'
import type { Config } from './schema.ts'
import { closest } from './suggestion.ts'
import { keyPath } from './toml-text.ts'

/** Database names that are the admin console, ours and PgBouncer's. */
export const consoleDatabases: readonly string[] = ['switchyard', 'pgbouncer']

/** What must hold in and between `[[shards]]`, `[databases]` and `[pool]`. */
export function checkRouting(config: Config, problems: ConfigProblems): void {
  checkShards(config, problems)
  checkGroups(config, problems)
  checkPoolSizes(config, problems)
  for (const { entry } of config.databases.filter((each) => consoleDatabases.includes(each.entry))) {
    const place = keyPath('databases', entry)
    problems.add(
      place,
      `${place} cannot be a database of yours: clients reach the admin console under that name; choose another.`,
    )
  }
}

function checkShards({ shards }: Config, problems: ConfigProblems): void {
  if (problems.touches('shards')) return
  if (shards.length === 0) {
    problems.add(
      'shards',
      'shards is missing, and at least one shard must be configured; write [[shards]] with for example name = "db1" and ' +
        'host = "db1.example.com".',
    )
  }
  for (const [index, shard] of shards.entries()) {
    const place = `shards[${index}]`
    const sameName = shards.findIndex((other) => other.name === shard.name)
    const sameServer = shards.findIndex((other) => other.host === shard.host && other.port === shard.port)
    if (sameName < index) {
      problems.add(
        `${place}.name`,
        `${place}.name is "${shard.name}", but shards[${sameName}] has the same name; choose another.`,
      )
    }
    if (sameServer < index) {
      problems.add(
        `${place}.host`,
        `${place} (${shard.name}) is ${shard.host} port ${shard.port}, but so is shards[${sameServer}] ` +
          `(${shards[sameServer]?.name}); remove one of them.`,
      )
    }
    if (shard.host.startsWith('/') && !fitsSocketPath(shard.host, shard.port)) {
      problems.add(
        `${place}.host`,
        `${place}.host is ${JSON.stringify(shard.host)}, but ${shard.host}/.s.PGSQL.${shard.port} is longer than the 107 ` +
          'bytes that a socket path may have; choose a shorter directory.',
      )
    }
  }
}

function checkGroups({ shards, databases }: Config, problems: ConfigProblems): void {
  if (problems.touches('shards', 'databases')) return
  const groups = [...new Set(shards.map((shard) => shard.group))]
  if (databases.length === 0 && groups.length > 1) {
    problems.add(
      'databases',
      `databases is missing, and must say which group holds what, because there are several (${enumerate(groups)}); ` +
        `write [databases."*"] with group = "${groups[0]}".`,
    )
  }
  for (const { entry, group } of groups.length === 0 ? [] : databases) {
    if (groups.includes(group)) continue
    const place = keyPath(keyPath('databases', entry), 'group')
    const near = closest(group, groups) ?? groups[0]
    problems.add(
      place,
      `${place} is "${group}", but no shard is in that group; the groups are ${enumerate(groups)}, so write for example ` +
        `group = "${near}".`,
    )
  }
}

function checkPoolSizes({ pool, databases }: Config, problems: ConfigProblems): void {
  if (problems.touches('pool', 'databases')) return
  if (pool.minSize > pool.size) {
    problems.add(
      'pool.min_size',
      `pool.min_size is ${pool.minSize}, but pool.size is ${pool.size}; write at most min_size = ${pool.size}.`,
    )
  }
  for (const database of databases) {
    const size = database.poolSize ?? pool.size
    const minimum = database.minPoolSize ?? (database.poolSize === null ? 0 : pool.minSize)
    if (minimum <= size) continue
    const place = keyPath(keyPath('databases', database.entry), 'min_pool_size')
    const found = database.minPoolSize === null ? `not set, so pool.min_size (${minimum}) holds` : String(minimum)
    problems.add(
      place,
      `${place} is ${found}, but the pool size there is ${size}; write at most min_pool_size = ${size}.`,
    )
  }
}
