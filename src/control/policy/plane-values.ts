import { consoleDatabases } from '../../config/check-routing.ts'
import { deepFreeze } from '../../config/deep-freeze.ts'
import type { Config, DatabaseConfig, UserConfig } from '../../config/schema.ts'
import type { ConsoleAccess, DatabaseValue, PlaneValues, UserValue } from '../../shard/plane-values.ts'
import type { Topology } from '../../shard/topology.ts'
import { analyzerValues } from './analyzer-values.ts'
import { compilePolicy } from './compile-policy.ts'
import type { VerifierCache } from './verifier-cache.ts'

/** What the plane's values need beside configuration and topology. */
export interface PlaneValuesOptions {
  readonly version: number
  /** Path of the Unix socket where the admin console answers. */
  readonly consoleSocket: string
  /** Makes verifiers of clear-text passwords; the same one for the whole life of the process. */
  readonly verifiers: VerifierCache
  /** 32 bytes in base64. */
  readonly mockSecret: string
}

/** The frozen values that a plane works with; the same for the same arguments. */
export function compilePlaneValues(config: Config, topology: Topology, options: PlaneValuesOptions): PlaneValues {
  const { clientTls, serverTls } = config
  options.verifiers.keepOnly(config.users.map(({ name }) => name))
  return deepFreeze({
    version: options.version,
    limits: limitValues(config),
    timeouts: config.timeouts,
    pool: config.pool,
    databases: config.databases.map(databaseValue),
    users: config.users.map((user) => userValue(user, config, options.verifiers)),
    hba: config.hba.map(({ type, database, user, address, method }, index) => ({
      type,
      databases: database,
      users: user,
      addresses: address,
      method,
      line: index + 1,
    })),
    analyzer: analyzerValues(config),
    mockSecret: options.mockSecret,
    authQuery: config.auth.query !== null,
    clientTls: {
      mode: clientTls.mode,
      certificate: clientTls.certificate?.text ?? null,
      key: clientTls.key?.text ?? null,
      ca: clientTls.ca?.text ?? null,
      minVersion: clientTls.minVersion,
      onUpgrade: clientTls.onUpgrade,
    },
    serverTls: {
      mode: serverTls.mode,
      certificate: serverTls.certificate?.text ?? null,
      key: serverTls.key?.text ?? null,
      ca: serverTls.ca?.text ?? null,
      onUpgrade: serverTls.onUpgrade,
    },
    consoleDatabases,
    consoleSocket: options.consoleSocket,
    policy: compilePolicy(config),
    topology,
  })
}

/** What `user`, listed or found with the auth query, may do in the admin console. */
export function consoleAccess({ admin }: Config, user: string): ConsoleAccess {
  if (admin.users.includes(user)) return 'admin'
  return admin.statsUsers.includes(user) ? 'stats' : 'none'
}

function userValue(user: UserConfig, config: Config, verifiers: VerifierCache): UserValue {
  const credentials =
    user.password === null ? { verifier: null, password: null } : verifiers.credentials(user.name, user.password)
  return {
    name: user.name,
    ...credentials,
    console: consoleAccess(config, user.name),
    poolMode: user.poolMode,
    poolSize: user.poolSize,
    maxClients: user.maxClients,
  }
}

function databaseValue(database: DatabaseConfig): DatabaseValue {
  return {
    name: database.entry,
    group: database.group,
    serverDatabase: database.name,
    serverUser: database.user,
    serverPassword: database.password,
    role: database.role,
    poolMode: database.poolMode,
    poolSize: database.poolSize,
    minPoolSize: database.minPoolSize,
    maxClients: database.maxClients,
  }
}

function limitValues({ limits }: Config): PlaneValues['limits'] {
  return {
    maxClients: limits.maxClients,
    maxClientsPerUser: limits.maxClientsPerUser,
    maxClientsPerDatabase: limits.maxClientsPerDatabase,
    startupPacketBytes: limits.startupPacketBytes,
    startupParameters: limits.startupParameters,
    preparedStatements: limits.preparedStatements,
    notificationBytes: limits.waitingNotificationsBytes,
  }
}
