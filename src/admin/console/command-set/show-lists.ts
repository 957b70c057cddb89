import { clientsOf, planesOf, poolsOf, serversOf } from '../../observe.ts'
import type { RouterControl } from '../../router-control.ts'
import type { ShowCommand } from '../command.ts'
import { type Field, int4, rowsOf, text } from '../table.ts'

type Item = readonly [list: string, items: number]

const FIELDS: readonly Field<Item>[] = [text('list', ([list]) => list), int4('items', ([, items]) => items)]

export const showLists: ShowCommand = {
  kind: 'show',
  name: 'SHOW LISTS',
  summary: 'How many there are of everything.',
  columns: FIELDS,
  rows: ({ control }) => rowsOf(FIELDS, items(control)),
}

function items(control: RouterControl): readonly Item[] {
  const { memory } = control
  const clients = [...clientsOf(memory)].map(({ state }) => state)
  const servers = [...serversOf(memory)].length
  return [
    ['databases', control.values().databases.length],
    ['users', control.values().users.length],
    ['pools', [...poolsOf(memory)].length],
    ['free_clients', memory.geometry.clientSlots - clients.length],
    ['used_clients', clients.length],
    ['login_clients', clients.filter((state) => state === 'login').length],
    ['free_servers', memory.geometry.serverSlots - servers],
    ['used_servers', servers],
    ['shards', control.topology().shards.length],
    ['planes', [...planesOf(memory)].length],
  ]
}
