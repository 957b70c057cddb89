import { NO_ANALYZER } from '../analyzer/analyzer.ts'
import type { PlaneValues } from '../shard/plane-values.ts'
import { NO_POLICY } from '../shard/policy.ts'

/** What a plane has before control has sent its first values: nobody can do anything, and no client is let in yet. */
export const NO_VALUES: PlaneValues = {
  version: 0,
  limits: {
    maxClients: 0,
    maxClientsPerUser: 0,
    maxClientsPerDatabase: 0,
    startupPacketBytes: 10_000,
    startupParameters: 100,
    preparedStatements: 0,
    notificationBytes: 0,
  },
  timeouts: {
    clientLoginMs: 60_000,
    clientIdleMs: 0,
    idleTransactionMs: 0,
    queryMs: 0,
    queryWaitMs: 0,
    serverConnectMs: 0,
    serverLoginRetryMs: 1000,
    serverIdleMs: 0,
    serverLifetimeMs: 0,
    serverCheckMs: 0,
    cancelMs: 0,
    drainMs: 0,
  },
  pool: {
    mode: 'transaction',
    size: 0,
    minSize: 0,
    maxUserConnections: 0,
    maxDatabaseConnections: 0,
    lostNotifications: 'warn',
  },
  databases: [],
  users: [],
  hba: [],
  mockSecret: '',
  authQuery: false,
  clientTls: { mode: 'disable', certificate: null, key: null, ca: null, minVersion: 'TLSv1.2', onUpgrade: 'keep' },
  serverTls: { mode: 'disable', certificate: null, key: null, ca: null, onUpgrade: 'keep' },
  consoleDatabases: [],
  consoleSocket: '/nowhere',
  policy: NO_POLICY,
  analyzer: NO_ANALYZER,
  topology: { version: 0, shards: [] },
}
