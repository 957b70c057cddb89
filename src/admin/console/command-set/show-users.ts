import type { PlaneValues, UserValue } from '../../../shard/plane-values.ts'
import { clientsOf, poolAt, serversOf } from '../../observe.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, rowsOf, text } from '../table.ts'

interface Item {
  readonly user: UserValue
  readonly values: PlaneValues
  readonly clients: number
  readonly servers: number
}

const FIELDS: readonly Field<Item>[] = [
  text('name', ({ user }) => user.name),
  int4('pool_size', ({ user }) => user.poolSize),
  int4('reserve_pool_size', () => null),
  text('pool_mode', ({ user }) => user.poolMode),
  int4('max_user_connections', ({ values }) => values.pool.maxUserConnections),
  int4('current_connections', ({ servers }) => servers),
  int4('max_user_client_connections', ({ user, values }) => user.maxClients ?? values.limits.maxClientsPerUser),
  int4('current_client_connections', ({ clients }) => clients),
  text('console', ({ user }) => user.console),
  text('credential', ({ user }) => user.verifier?.kind ?? (user.password === null ? 'none' : 'password')),
]

export const showUsers: ShowCommand = {
  kind: 'show',
  name: 'SHOW USERS',
  summary: 'One row per configured user: limits, connections, console access. Never a password.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const clients = new Map<string, number>()
  for (const client of clientsOf(control.memory)) {
    if (client.state !== 'login') clients.set(client.user, (clients.get(client.user) ?? 0) + 1)
  }
  const servers = new Map<string, number>()
  for (const server of serversOf(control.memory)) {
    const user = poolAt(control.memory, server.pool)?.user
    if (user !== undefined) servers.set(user, (servers.get(user) ?? 0) + 1)
  }
  const values = control.values()
  return values.users.map((user) => ({
    user,
    values,
    clients: clients.get(user.name) ?? 0,
    servers: servers.get(user.name) ?? 0,
  }))
}
