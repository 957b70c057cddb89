import assert from 'node:assert/strict'
import { test } from 'node:test'
import { sections } from './schema.ts'
import { closest, editDistance, suggestKey } from './suggestion.ts'

test('edit distance counts insertions, deletions, substitutions and swaps', () => {
  const table: readonly [string, string, number][] = [
    ['', '', 0],
    ['port', 'port', 0],
    ['prot', 'port', 1],
    ['por', 'port', 1],
    ['portt', 'port', 1],
    ['pert', 'port', 1],
    ['', 'port', 4],
    ['adress', 'addresses', 3],
  ]
  for (const [a, b, distance] of table) {
    assert.equal(editDistance(a, b), distance, `${a} → ${b}`)
    assert.equal(editDistance(b, a), distance, `${b} → ${a}`)
  }
})

test('only a near word is suggested, and the nearest of them', () => {
  assert.equal(closest('pool_sise', ['pool_mode', 'pool_size']), 'pool_size')
  assert.equal(closest('maxClients', ['max_clients']), 'max_clients')
  assert.equal(closest('pool-size', ['pool_size']), 'pool_size')
  assert.equal(closest('zebra', ['port', 'backlog']), null)
  assert.equal(closest('x', []), null)
})

test('a key is looked for in its section, then elsewhere, then among the names of PgBouncer', () => {
  const table: readonly [string, string, string, string | null][] = [
    ['prot', 'listen', 'listen', 'listen.port'],
    ['nmae', 'shards', 'shards[1]', 'shards[1].name'],
    ['query_wait', 'pool', 'pool', 'timeouts.query_wait'],
    ['default_pool_size', 'pool', 'pool', 'pool.size'],
    ['max_client_conn', '', '', 'limits.max_clients'],
    ['auth_type', 'auth', 'auth', 'method in [[auth.hba]]'],
    ['dbname', '', '', 'name in [databases.NAME]'],
    ['port', '', '', 'listen.port'],
    ['timeout', '', '', 'monitor.timeout'],
    ['databasse', '', '', 'databases'],
    ['constructor', 'listen', 'listen', null],
  ]
  for (const [name, path, place, expected] of table)
    assert.equal(suggestKey(name, path, place, sections), expected, name)
})
