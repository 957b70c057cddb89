import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testShardValue } from '../shard/shard.fixture.ts'
import { NO_VALUES } from './no-values.ts'
import { rehearsalValues } from './rehearsal-values.ts'

const SHARD = testShardValue({ id: 0, name: 'rehearsal', group: 'rehearsal' })
const SIZE = { clients: 9, servers: 4, preparedStatements: 10 }

const reversed = <T extends object>(value: T): T => Object.fromEntries(Object.entries(value).reverse()) as T
/** All that makes an object another one for V8. */
const formOf = (value: unknown): unknown =>
  typeof value !== 'object' || value === null || Array.isArray(value)
    ? null
    : Object.entries(value).map(([name, member]) => [name, formOf(member)])

test('it says what a rehearsal needs, whatever the plane that works has been told', () => {
  const example = reversed({
    ...NO_VALUES,
    version: 7,
    users: [{ ...({ name: 'anna' } as (typeof NO_VALUES.users)[number]) }],
    limits: reversed({ ...NO_VALUES.limits, maxClients: 1, maxClientsPerUser: 1 }),
    timeouts: reversed({ ...NO_VALUES.timeouts, queryMs: 1 }),
    pool: reversed({ ...NO_VALUES.pool, mode: 'session' as const, minSize: 3 }),
    clientTls: reversed({ ...NO_VALUES.clientTls, mode: 'require' as const }),
    consoleDatabases: ['*'],
    topology: { version: 9, shards: [reversed(testShardValue({ id: 3, up: false })), testShardValue({ id: 4 })] },
  })
  const plain = rehearsalValues(SHARD, SIZE, { hints: true }, null)
  const values = rehearsalValues(SHARD, SIZE, { hints: true }, example)
  assert.deepEqual(values, plain)
  assert.deepEqual([values.users, values.limits.maxClients, values.pool.size], [[], 9, 4])
  assert.deepEqual(values.topology, { version: 1, shards: [SHARD] })
  assert.equal(values.analyzer.hints, true)
  assert.deepEqual(formOf(plain), formOf({ ...NO_VALUES, topology: plain.topology }))
  assert.deepEqual(formOf(values), formOf({ ...example, topology: values.topology }))
  assert.deepEqual(formOf(values.topology.shards[0]), formOf(example.topology.shards[0]))
})
