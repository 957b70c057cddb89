import type { DatabaseValue, PlaneValues } from '../../../shard/plane-values.ts'
import type { Shard } from '../../../shard/topology.ts'
import { clientsOf, poolAt, serversOf } from '../../observe.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, rowsOf, text } from '../table.ts'

interface Item {
  readonly database: DatabaseValue
  readonly values: PlaneValues
  /** Of the group; null while none is known. */
  readonly primary: Shard | null
  readonly clients: number
  readonly servers: number
  readonly paused: boolean
}

const FIELDS: readonly Field<Item>[] = [
  text('name', ({ database }) => database.name),
  text('host', ({ primary }) => primary?.host ?? null),
  int4('port', ({ primary }) => primary?.port ?? null),
  text('database', ({ database }) => database.serverDatabase ?? database.name),
  text('force_user', ({ database }) => database.serverUser),
  int4('pool_size', ({ database, values }) => database.poolSize ?? values.pool.size),
  int4('min_pool_size', ({ database, values }) => database.minPoolSize ?? values.pool.minSize),
  int4('reserve_pool_size', () => 0),
  int4('server_lifetime', ({ values }) => values.timeouts.serverLifetimeMs / 1000),
  text('pool_mode', ({ database }) => database.poolMode),
  text('load_balance_hosts', () => null),
  int4('max_connections', ({ values }) => values.pool.maxDatabaseConnections),
  int4('current_connections', ({ servers }) => servers),
  int4('max_client_connections', ({ database, values }) => database.maxClients ?? values.limits.maxClientsPerDatabase),
  int4('current_client_connections', ({ clients }) => clients),
  int4('paused', ({ paused }) => (paused ? 1 : 0)),
  int4('disabled', () => 0),
  text('group', ({ database }) => database.group),
]

export const showDatabases: ShowCommand = {
  kind: 'show',
  name: 'SHOW DATABASES',
  summary: 'One row per configured database: where it leads, its limits, who uses it, whether it is paused.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const values = control.values()
  const pauses = control.pauses()
  const named = new Set(values.databases.map(({ name }) => name))
  // A database without an entry of its own belongs to the entry `*`.
  const entryFor = (database: string): string => (named.has(database) ? database : '*')
  const clients = countBy(clientsOf(control.memory), (client) =>
    client.console || client.state === 'login' ? null : entryFor(client.database),
  )
  const servers = countBy(serversOf(control.memory), (server) => {
    const pool = poolAt(control.memory, server.pool)
    return pool === null ? null : entryFor(pool.database)
  })
  return values.databases.map((database) => ({
    database,
    values,
    primary:
      control.topology().shards.find(({ group, role }) => group === database.group && role === 'primary') ?? null,
    clients: clients.get(database.name) ?? 0,
    servers: servers.get(database.name) ?? 0,
    paused: pauses.all || pauses.databases.includes(database.name),
  }))
}

function countBy<T>(items: Iterable<T>, keyOf: (item: T) => string | null): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  for (const item of items) {
    const key = keyOf(item)
    if (key !== null) counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  return counts
}
