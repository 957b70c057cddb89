import type { Shard } from './topology.ts'

/** For tests: a primary of the group `main` that is up, or what `changes` make of it. */
export function testShardValue(changes: Partial<Shard> = {}): Shard {
  return {
    id: 0,
    name: 'db1',
    group: 'main',
    host: 'db1',
    address: '127.0.0.1',
    port: 5432,
    role: 'primary',
    up: true,
    maxConnections: 10,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up',
    adjustment: null,
    ...changes,
  }
}
