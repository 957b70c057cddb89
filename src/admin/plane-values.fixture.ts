import { NO_ANALYZER } from '../analyzer/analyzer.ts'
import type { DatabaseValue, PlaneValues, UserValue } from '../shard/plane-values.ts'
import { NO_POLICY } from '../shard/policy.ts'
import type { Shard, Topology } from '../shard/topology.ts'

export function testShard(id: number, name: string, role: Shard['role'], group = 'main'): Shard {
  return {
    id,
    name,
    group,
    host: `${name}.example`,
    address: '10.0.0.1',
    port: 5432,
    role,
    up: true,
    maxConnections: 50,
    slots: null,
    zone: null,
    dataDirectory: null,
    health: 'up',
    adjustment: null,
  }
}

export function testDatabase(name: string): DatabaseValue {
  return {
    name,
    group: 'main',
    serverDatabase: null,
    serverUser: null,
    serverPassword: null,
    role: 'primary',
    poolMode: null,
    poolSize: null,
    minPoolSize: null,
    maxClients: null,
  }
}

export function testUser(name: string): UserValue {
  return { name, verifier: null, password: null, console: 'none', poolMode: null, poolSize: null, maxClients: null }
}

/** What a plane gets when nothing is configured but these. */
export function testValues(databases: DatabaseValue[], users: UserValue[], topology: Topology): PlaneValues {
  return {
    version: 1,
    limits: {
      maxClients: 1000,
      maxClientsPerUser: 100,
      maxClientsPerDatabase: 200,
      startupPacketBytes: 10_000,
      startupParameters: 64,
      preparedStatements: 100,
      notificationBytes: 1000,
    },
    timeouts: {
      clientLoginMs: 60_000,
      clientIdleMs: 0,
      idleTransactionMs: 0,
      queryMs: 0,
      queryWaitMs: 120_000,
      serverConnectMs: 15_000,
      serverLoginRetryMs: 15_000,
      serverIdleMs: 600_000,
      serverLifetimeMs: 3_600_000,
      serverCheckMs: 30_000,
      cancelMs: 10_000,
      drainMs: 30_000,
    },
    pool: {
      mode: 'transaction',
      size: 20,
      minSize: 0,
      maxUserConnections: 0,
      maxDatabaseConnections: 0,
      lostNotifications: 'warn',
    },
    databases,
    users,
    hba: [],
    authQuery: false,
    clientTls: { mode: 'disable', certificate: null, key: null, ca: null, minVersion: 'TLSv1.2', onUpgrade: 'keep' },
    serverTls: { mode: 'disable', certificate: null, key: null, ca: null, onUpgrade: 'keep' },
    consoleDatabases: ['switchyard', 'pgbouncer'],
    mockSecret: '',
    consoleSocket: '/run/switchyard/console.sock',
    policy: NO_POLICY,
    analyzer: NO_ANALYZER,
    topology,
  }
}
