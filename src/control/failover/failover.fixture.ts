import type { Shard } from '../../shard/topology.ts'

/** For tests: a shard of the group `main`. */
export function freezeShard(values: Pick<Shard, 'id' | 'name' | 'role' | 'up'>): Shard {
  const place = {
    group: 'main',
    host: '127.0.0.1',
    address: '127.0.0.1',
    port: 5432 + values.id,
    maxConnections: 10,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up' as const,
    adjustment: null,
  }
  return Object.freeze({ ...place, ...values })
}
