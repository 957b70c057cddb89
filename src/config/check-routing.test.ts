import assert from 'node:assert/strict'
import { test } from 'node:test'
import { checkRouting } from './check-routing.ts'
import { buildConfig } from './load-config.ts'
import { ConfigProblems } from './problems.ts'
import type { RawTable } from './read-section.ts'
import type { Config } from './schema.ts'

const source = { file: 'sw.toml', directory: '/', environment: {} }
const shard = (name: string, group = 'main'): RawTable => ({ name, host: name, group })
const good: RawTable = { shards: [shard('db1')], monitor: { user: 'watch' } }

function complaint(change: RawTable): string {
  try {
    buildConfig({ ...good, ...change }, source)
    return 'none'
  } catch (error) {
    return (error as Error).message
  }
}

const cases: readonly [string, RawTable, string][] = [
  [
    'two shards with one name',
    { shards: [shard('db1'), { name: 'db1', host: 'db2' }] },
    'sw.toml: shards[1].name is "db1", but shards[0] has the same name; choose another.',
  ],
  [
    'one server as two shards',
    { shards: [shard('db1'), { name: 'db2', host: 'db1' }] },
    'sw.toml: shards[1] (db2) is db1 port 5432, but so is shards[0] (db1); remove one of them.',
  ],
  [
    'a socket directory of a shard that is too long',
    { shards: [{ name: 'db1', host: `/${'d'.repeat(100)}` }] },
    `sw.toml: shards[0].host is "/${'d'.repeat(100)}", but /${'d'.repeat(100)}/.s.PGSQL.5432 is longer than the 107 bytes that a socket path may have; choose a shorter directory.`,
  ],
  [
    'a database in a group without shards',
    { databases: { shop: { group: 'mian' } } },
    'sw.toml: databases.shop.group is "mian", but no shard is in that group; the groups are main, so write for example group = "main".',
  ],
  [
    'several groups and no database that says which holds what',
    { shards: [shard('a', 'eu'), shard('b', 'us')] },
    'sw.toml: databases is missing, and must say which group holds what, because there are several (eu and us); write [databases."*"] with group = "eu".',
  ],
  [
    'a database with the name of the console',
    { databases: { pgbouncer: {} } },
    'sw.toml: databases.pgbouncer cannot be a database of yours: clients reach the admin console under that name; choose another.',
  ],
  [
    'a database without a name',
    { databases: { '': {} } },
    'sw.toml: databases."" is not a name that clients can ask for; write one of 1 to 63 bytes.',
  ],
  [
    'a pool that keeps more than it may have',
    { pool: { size: 5, min_size: 6 } },
    'sw.toml: pool.min_size is 6, but pool.size is 5; write at most min_size = 5.',
  ],
  [
    'a pool of a database that keeps more than it may have',
    { databases: { shop: { pool_size: 5, min_pool_size: 6 } } },
    'sw.toml: databases.shop.min_pool_size is 6, but the pool size there is 5; write at most min_pool_size = 5.',
  ],
  [
    'a pool of a database that inherits more than it may have',
    { pool: { min_size: 6 }, databases: { shop: { pool_size: 5 } } },
    'sw.toml: databases.shop.min_pool_size is not set, so pool.min_size (6) holds, but the pool size there is 5; write at most min_pool_size = 5.',
  ],
]

for (const [name, change, sentence] of cases) {
  test(`${name} is refused`, () => assert.equal(complaint(change), sentence))
}

test('a wrong shard is not complained about a second time by what refers to it', () => {
  const message = complaint({ shards: [{ name: 'db1', host: 'db1', group: 'a b' }], databases: { x: { group: 'eu' } } })
  assert.match(message, /^sw\.toml: shards\[0\]\.group is "a b", [^\n]*$/)
})

test('the same host with another port is another shard', () => {
  assert.equal(complaint({ shards: [shard('db1'), { name: 'db2', host: 'db1', port: 5433 }] }), 'none')
})

test('databases spread over several groups are accepted', () => {
  const shards = [shard('a', 'eu'), shard('b', 'us')]
  const config: Config = buildConfig({ ...good, shards, databases: { x: { group: 'eu' }, y: { group: 'us' } } }, source)
  const problems = new ConfigProblems('sw.toml')
  checkRouting(config, problems)
  assert.deepEqual(problems.sentences, [])
})
