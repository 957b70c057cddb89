import type { PlaneValues } from '../shard/plane-values.ts'
import type { Shard } from '../shard/topology.ts'
import { NO_VALUES } from './no-values.ts'

/** What is rehearsed. */
export interface RehearsedSize {
  readonly clients: number
  readonly servers: number
  readonly preparedStatements: number
}

const PATIENCE_MS = 10_000

/**
 * What the plane of a rehearsal is told, with one shard and everybody trusted. It has the form of `example`, which control has told
 * the plane that works, if there is one: V8 optimizes for objects with these members in this order, as JSON made them, and
 * throws that away when it sees others.
 */
export function rehearsalValues(
  shard: Shard,
  { clients, servers, preparedStatements }: RehearsedSize,
  analyzer: Partial<PlaneValues['analyzer']>,
  example: PlaneValues | null,
): PlaneValues {
  const form = example ?? NO_VALUES
  const { limits, timeouts, pool, clientTls, serverTls, policy } = NO_VALUES
  const database = { name: '*', group: shard.group, serverDatabase: null, serverUser: null, serverPassword: null }
  const bounds = { poolMode: null, poolSize: null, minPoolSize: null, maxClients: null, role: 'primary' as const }
  const values: PlaneValues = {
    ...form,
    ...NO_VALUES,
    version: 1,
    limits: { ...form.limits, ...limits, maxClients: clients, preparedStatements, notificationBytes: 10_000 },
    timeouts: { ...form.timeouts, ...timeouts, queryWaitMs: PATIENCE_MS, serverConnectMs: PATIENCE_MS },
    pool: { ...form.pool, ...pool, size: servers },
    databases: [{ ...form.databases[0], ...database, ...bounds }],
    hba: [{ type: 'local', databases: ['all'], users: ['all'], addresses: [], method: 'trust', line: 1 }],
    clientTls: { ...form.clientTls, ...clientTls },
    serverTls: { ...form.serverTls, ...serverTls },
    policy: { ...form.policy, ...policy },
    analyzer: { ...form.analyzer, ...NO_VALUES.analyzer, ...analyzer },
    topology: { version: 1, shards: [{ ...form.topology.shards[0], ...shard }] },
  }
  return JSON.parse(JSON.stringify(values)) as PlaneValues
}
