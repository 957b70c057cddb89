import assert from 'node:assert/strict'
import { arch } from 'node:os'
import { type TestContext, test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { RawPeer } from '../io/link-host.fixture.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { Poller } from '../io/poller.ts'
import { openSocketPair } from '../io/socket.ts'
import {
  decodePlaneMessage,
  encodeKeeperMessage,
  type KeeperMessage,
  MAX_PACKET_BYTES,
} from '../memory/keeper-protocol.ts'
import { CLIENT_SLOT_BYTES } from '../memory/layout.ts'
import { Region } from '../memory/region.ts'
import { AheadClients } from './ahead-clients.ts'
import { openKeeperLink, reference } from './keeper-link.fixture.ts'
import { awaitInstructions, awaitTurn, takeAhead } from './standby.ts'

/** A process on standby, and its keeper. */
function open(t: TestContext) {
  const [mine, theirs] = FdChannel.pair()
  const channel = new FdChannel(mine, MAX_PACKET_BYTES)
  const keeper = new FdChannel(theirs, MAX_PACKET_BYTES)
  const poller = new Poller(arch())
  const ahead = new AheadClients(poller, new Region(new ArrayBuffer(8 * CLIENT_SLOT_BYTES), 0, CLIENT_SLOT_BYTES, 8))
  const packet = Buffer.alloc(MAX_PACKET_BYTES)
  const fds: OwnedFd[] = []
  t.after(() => {
    for (const { fd } of ahead.takeAll()) fd.close()
    for (const fd of fds) fd.close()
    for (const end of [channel, keeper, poller]) end.close()
  })
  const say = (message: KeeperMessage, descriptors: readonly OwnedFd[] = []): void => {
    const length = encodeKeeperMessage(message, packet)
    const numbers = descriptors.map(({ fd }) => fd)
    assert.equal(keeper.send(packet, length, numbers), 'sent')
  }
  const told = (): string[] => {
    const ops: string[] = []
    for (let one = keeper.receive(); typeof one !== 'string'; one = keeper.receive()) {
      ops.push(decodePlaneMessage(one.bytes).op)
    }
    return ops
  }
  /** Clients 0 to `count` − 1: the router's ends, and their own. */
  const clients = (count: number) => {
    const pairs = Array.from({ length: count }, () => openSocketPair())
    fds.push(...pairs.flat())
    return { ends: pairs.map(([end]) => end), peers: pairs.map(([, peer]) => new RawPeer(peer)) }
  }
  return { mine, channel, keeper, poller, ahead, say, told, clients }
}

test('whom the keeper gives ahead is there when the turn comes, but for those who have left meanwhile', (t) => {
  const { mine, channel, poller, ahead, say, told, clients } = open(t)
  const { ends, peers } = clients(3)
  say({ op: 'ahead', clients: [reference(1), reference(2)] }, ends.slice(0, 2))
  say({ op: 'ahead', clients: [reference(3)] }, ends.slice(2))
  // Whoever serves it reads this.
  peers[1]?.send('a query')
  say({ op: 'serve' })
  assert.equal(awaitTurn(arch(), mine, channel, ahead), true)
  assert.deepEqual(told(), ['standby', 'prepared', 'prepared'])
  assert.notEqual(channel.receive(), 'empty', 'the word to serve is for somebody else')
  ahead.end(reference(1))
  ahead.end({ slot: 3, generation: 1 })
  for (const end of ends) end.close()
  assert.equal(peers[0]?.receive(), null, 'nobody has its connection any more')
  const all = ahead.takeAll()
  assert.deepEqual(
    all.map(({ slot, generation }) => ({ slot, generation })),
    [reference(2), reference(3)],
  )
  const seen: number[] = []
  for (const { key, slot } of all) poller.retarget(key, { onReady: () => seen.push(slot) })
  poller.dispatch(poller.wait(0))
  assert.deepEqual(seen, [2], 'it is watched, and what it said was left')
  assert.deepEqual(ahead.takeAll(), [])
  for (const { fd } of all) fd.close()
})

test('a keeper that is gone is no turn', (t) => {
  const { mine, channel, keeper, ahead, say, clients } = open(t)
  const { ends } = clients(1)
  say({ op: 'ahead', clients: [reference(1)] }, ends)
  keeper.close()
  assert.equal(awaitTurn(arch(), mine, channel, ahead), false)
})

test('where descriptors are missing, nothing goes on without them', (t) => {
  const { channel, ahead, say, clients } = open(t)
  const { ends } = clients(1)
  say({ op: 'ahead', clients: [reference(1), reference(2)] }, ends)
  assert.throws(() => takeAhead(channel, ahead), /too few file descriptors/)
})

test('before anything else the keeper is heard until it has said that the process is to serve, or to end, or is gone', (t) => {
  for (const op of ['serve', 'release', null] as const) {
    const { link, keeper, fd, story, say } = openKeeperLink(t)
    say({ op: 'ended', clients: [reference(4)] })
    if (op === null) keeper.close()
    else say({ op })
    assert.equal(link.isInstructed, false)
    awaitInstructions(arch(), fd, link)
    assert.equal(story.length, 2, `${story}`)
  }
})
