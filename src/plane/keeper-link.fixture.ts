import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { TestLinkHost } from '../io/link-host.fixture.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import {
  decodePlaneMessage,
  encodeKeeperMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
  type NewClient,
  type PlaneMessage,
  type SlotReference,
} from '../memory/keeper-protocol.ts'
import { KeeperLink } from './keeper-link.ts'

interface Bench {
  readonly host: TestLinkHost
  readonly link: KeeperLink
  readonly keeper: FdChannel
  /** Of the plane's end. */
  readonly fd: OwnedFd
  readonly clients: { client: NewClient; fd: OwnedFd }[]
  /** Connections of a predecessor. */
  readonly kept: { kind: string; slot: SlotReference; fd: OwnedFd }[]
  readonly story: string[]
  announce(clients: readonly NewClient[], fds: readonly number[]): void
  say(message: KeeperMessage, fds?: readonly number[]): void
  /** Everything that the keeper has been told since it last looked, and the descriptors. */
  told(): { messages: PlaneMessage[]; fds: OwnedFd[] }
}

/** A plane's channel to a keeper that is the test itself, closed after it. */
export function openKeeperLink(t: TestContext): Bench {
  const host = new TestLinkHost()
  const [mine, theirs] = FdChannel.pair()
  const keeper = new FdChannel(theirs)
  const clients: Bench['clients'] = []
  const kept: Bench['kept'] = []
  const story: string[] = []
  const link = new KeeperLink(host.poller, new FdChannel(mine), mine, {
    onNewClient: (client, fd) => void clients.push({ client, fd }),
    onKeptClient: (slot, fd) => void kept.push({ kind: 'client', slot, fd }),
    onKeptServer: (slot, fd) => void kept.push({ kind: 'server', slot, fd }),
    onEnded: ({ slot }) => void story.push(`${slot} has ended`),
    onServe: () => void story.push(`serve, having ${kept.length}`),
    onRelease: () => void story.push('release'),
    onKeeperGone: () => void story.push('keeper gone'),
    clients: () => clients.map(({ client, fd }) => ({ slot: client.slot, generation: client.generation, fd })),
  })
  t.after(() => {
    for (const { fd } of [...clients, ...kept]) fd.close()
    mine.close()
    keeper.close()
    host.close()
  })
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  const say: Bench['say'] = (message, fds = []) => {
    assert.equal(keeper.send(packet, encodeKeeperMessage(message, packet), fds), 'sent')
  }
  return {
    host,
    link,
    keeper,
    fd: mine,
    clients,
    kept,
    story,
    announce: (list, fds) => say({ op: 'new', clients: list }, fds),
    say,
    told: () => {
      const all: { messages: PlaneMessage[]; fds: OwnedFd[] } = { messages: [], fds: [] }
      for (let one = keeper.receive(); typeof one !== 'string'; one = keeper.receive()) {
        all.messages.push(decodePlaneMessage(one.bytes))
        all.fds.push(...one.fds)
      }
      return all
    },
  }
}

/** The client in this slot. */
export const newClient = (slot: number): NewClient => ({
  slot,
  generation: slot + 100,
  family: 4,
  remotePort: 40_000 + slot,
  localPort: 6432,
  address: '192.0.2.7',
})
/** The slot, and which of its owners is meant. */
export const reference = (slot: number) => ({ slot, generation: slot + 100 })
