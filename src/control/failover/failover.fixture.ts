import { testShardValue } from '../../shard/shard.fixture.ts'
import type { Shard } from '../../shard/topology.ts'

/** For tests: a shard of the group `main`. */
export function freezeShard(values: Pick<Shard, 'id' | 'name' | 'role' | 'up'>): Shard {
  return Object.freeze(testShardValue({ host: '127.0.0.1', port: 5432 + values.id, ...values }))
}
