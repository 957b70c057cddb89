import type { OwnedFd } from '../io/owned-fd.ts'
import type { PlaneMessage } from '../memory/keeper-protocol.ts'
import type { ClientTable } from './client-table.ts'
import type { ServerTable } from './server-table.ts'

/** What a plane says of its connections. */
export type HoldingsMessage = Extract<PlaneMessage, { op: 'have' | 'gone' | 'put' | 'drop' }>

/**
 * Notes which connections plane `index` has and has not any more, and keeps a descriptor of each: those of `fds`, which come in
 * the order in which the message names them. One that is missing there was lost on the way.
 */
export function noteHoldings(
  { clients, servers, index }: { readonly clients: ClientTable; readonly servers: ServerTable; readonly index: number },
  message: HoldingsMessage,
  fds: readonly OwnedFd[],
): void {
  if (message.op === 'have') {
    for (const [at, client] of message.clients.entries()) {
      const fd = fds[at]
      if (fd !== undefined) clients.adopt(client, fd, index)
    }
  } else if (message.op === 'gone') {
    for (const client of message.clients) clients.release(client, index)
  } else if (message.op === 'put') {
    for (const [at, server] of message.servers.entries()) {
      const fd = fds[at]
      if (fd !== undefined) servers.put(server, fd, index)
    }
  } else for (const server of message.servers) servers.drop(server, index)
}
