import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { acceptClient, openListener } from '../io/listener.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { localAddress, startConnect } from '../io/socket.ts'
import { parseSocketAddress } from '../io/socket-address.ts'
import { CLIENT, CLIENT_F64, CLIENT_STATE } from '../memory/client-slots.ts'
import { CLIENT_SLOT_BYTES, SERVER_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { ClientTable } from './client-table.ts'
import { takeInventory } from './hand-over.ts'
import { ServerTable } from './server-table.ts'

const slots = new Region(new ArrayBuffer(8 * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, 8)
const serverSlots = new Region(new ArrayBuffer(4 * SERVER_SLOT_BYTES), 0, SERVER_SLOT_BYTES, 4)
const listener = openListener(parseSocketAddress('127.0.0.1', 0), { backlog: 8, ipv6Only: false })

/** What a plane does first with a client. */
function begin(slot: number): void {
  slots.i32[(slot * CLIENT_SLOT_BYTES) / 4 + CLIENT.state] = CLIENT_STATE.login
  slots.f64[(slot * CLIENT_SLOT_BYTES) / 8 + CLIENT_F64.connectedAt] = 1
}

/** Both ends of a connection to the listener: ours, and the client's. */
function connection(): [OwnedFd, OwnedFd] {
  const client = startConnect(localAddress(listener))
  for (;;) {
    const accepted = acceptClient(listener)
    if (typeof accepted !== 'string') return [accepted.fd, client]
  }
}

test('a successor gets what its predecessor served, and as new whomever that never looked at', (t) => {
  const clients = new ClientTable(slots, 8)
  const servers = new ServerTable(serverSlots)
  const [served, unseen, over, other] = [connection(), connection(), connection(), connection()]
  const [server, serverPeer] = FdChannel.pair()
  t.after(() => {
    clients.releaseAllOf(0)
    clients.releaseAllOf(1)
    servers.releaseAllOf(0)
    for (const [, peer] of [served, unseen, over, other]) peer.close()
    serverPeer.close()
    listener.close()
  })
  const held = [served, unseen, over].map(([fd]) => clients.hold(fd, 0))
  begin(clients.hold(other[0], 1).slot)
  begin(0)
  begin(2)
  slots.i32[(2 * CLIENT_SLOT_BYTES) / 4 + CLIENT.state] = CLIENT_STATE.free
  servers.put({ slot: 3, generation: 7 }, server, 0)
  const inventory = takeInventory(0, clients, servers)
  assert.deepEqual(inventory, {
    servers: [{ slot: 3, generation: 7 }],
    clients: [held[0]],
    unseen: [
      {
        ...held[1],
        family: 4,
        address: '127.0.0.1',
        remotePort: localAddress(unseen[1]).port,
        localPort: localAddress(listener).port,
      },
    ],
  })
  assert.equal(clients.descriptor(2), null, 'whom the plane was done with is ended')
  assert.equal(clients.count, 3)
})
