import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FdChannel } from '../io/fd-channel.ts'
import { RawPeer } from '../io/link-host.fixture.ts'
import type { OwnedFd } from '../io/owned-fd.ts'
import { openSocketPair } from '../io/socket.ts'
import { decodePlaneMessage, type PlaneMessage } from '../memory/keeper-protocol.ts'
import { newClient, openKeeperLink, reference } from './keeper-link.fixture.ts'

test('the keeper is told when clients may come, once it is so', (t) => {
  const { link, told } = openKeeperLink(t)
  assert.deepEqual(told().messages, [])
  link.ready()
  link.flush()
  assert.deepEqual(told().messages, [{ op: 'ready' }])
})

test('each new client comes with its own descriptor', (t) => {
  const { host, clients, announce } = openKeeperLink(t)
  const pairs = [openSocketPair(), openSocketPair(), openSocketPair()]
  const mine = pairs.map(([fd]) => fd.fd)
  announce([newClient(4), newClient(7)], mine.slice(0, 2))
  announce([newClient(9)], mine.slice(2))
  host.turn()
  assert.deepEqual(
    clients.map(({ client }) => client),
    [newClient(4), newClient(7), newClient(9)],
  )
  clients.forEach(({ fd, client }, index) => {
    new RawPeer(fd).send(`client ${client.slot}`)
    const [, theirs] = pairs[index] as (typeof pairs)[number]
    assert.equal(new RawPeer(theirs).receive()?.toString(), `client ${client.slot}`)
  })
  for (const one of pairs.flat()) one.close()
})

test('a client whose descriptor was lost on the way is gone at once, so that its slot comes back', (t) => {
  const { host, link, clients, announce, told } = openKeeperLink(t)
  const [mine, theirs] = openSocketPair()
  announce([newClient(1), newClient(2)], [mine.fd])
  host.turn()
  assert.deepEqual(
    clients.map(({ client }) => client.slot),
    [1],
  )
  link.flush()
  assert.deepEqual(told().messages, [{ op: 'gone', clients: [reference(2)] }])
  mine.close()
  theirs.close()
})

test('what is gone or dropped leaves once, with the flush, as many in a packet as fit', (t) => {
  const { link, told } = openKeeperLink(t)
  for (let slot = 0; slot < 600; slot++) link.gone(reference(slot))
  for (let slot = 0; slot < 3; slot++) link.drop(reference(slot))
  assert.deepEqual(told().messages, [])
  link.flush()
  const { messages } = told()
  const gone = messages.flatMap((message) => (message.op === 'gone' ? [message.clients] : []))
  assert.deepEqual(
    gone.map(({ length }) => length),
    [250, 250, 100],
  )
  assert.deepEqual(
    gone.flat(),
    Array.from({ length: 600 }, (_, slot) => reference(slot)),
  )
  assert.deepEqual(messages.at(-1), { op: 'drop', servers: [0, 1, 2].map(reference) })
  link.flush()
  assert.deepEqual(told().messages, [])
})

test('what a full channel does not take is told at the next flush, nothing twice and nothing lost', (t) => {
  const { link, told } = openKeeperLink(t)
  const total = 200_000
  for (let slot = 0; slot < total; slot++) link.gone(reference(slot))
  link.flush()
  link.drop(reference(1))
  const seen: number[] = []
  let dropped = 0
  for (let round = 0; round < 100 && dropped === 0; round++) {
    for (const message of told().messages) {
      if (message.op === 'gone') seen.push(...message.clients.map(({ slot }) => slot))
      if (message.op === 'drop') dropped += message.servers.length
    }
    assert.ok(round > 0 || seen.length < total, 'the channel was full')
    link.flush()
  }
  assert.equal(dropped, 1)
  assert.equal(seen.length, total)
  assert.ok(seen.every((slot, index) => slot === index))
})

test('a server connection is kept with its descriptor, after the news of an earlier one in its slot', (t) => {
  const { link, told } = openKeeperLink(t)
  const [mine, theirs] = openSocketPair()
  link.drop(reference(3))
  link.keep({ slot: 3, generation: 200 }, mine)
  link.flush()
  const { messages, fds } = told()
  assert.deepEqual(messages, [
    { op: 'drop', servers: [reference(3)] },
    { op: 'put', servers: [{ slot: 3, generation: 200 }] },
  ])
  const [kept] = fds
  assert.ok(kept !== undefined && fds.length === 1)
  // A duplicate: ours may be closed.
  mine.close()
  new RawPeer(kept).send('still open')
  assert.equal(new RawPeer(theirs).receive()?.toString(), 'still open')
  kept.close()
  theirs.close()
})

test('nothing leaves before the flush: what is gone may have bytes that leave first', (t) => {
  const { host, link, told } = openKeeperLink(t)
  const [mine, theirs] = openSocketPair()
  link.gone(reference(1))
  link.keep({ slot: 3, generation: 200 }, mine)
  link.ready()
  host.turn()
  assert.deepEqual(told().messages, [])
  link.flush()
  const { messages, fds } = told()
  assert.deepEqual(
    messages.map(({ op }) => op),
    ['ready', 'gone', 'put'],
  )
  for (const one of [...fds, mine, theirs]) one.close()
})

test('a keeper that is gone is noticed, after its last words were heard', (t) => {
  const { host, keeper, clients, story, announce } = openKeeperLink(t)
  const [mine, theirs] = openSocketPair()
  announce([newClient(1)], [mine.fd])
  keeper.close()
  host.turn()
  assert.deepEqual([clients.length, story], [1, ['keeper gone']])
  mine.close()
  theirs.close()
})

test('what a predecessor had comes with its descriptors, and then the word to serve', (t) => {
  const { host, link, kept, story, say, told } = openKeeperLink(t)
  const pairs = [openSocketPair(), openSocketPair()]
  const [server, client] = pairs.map(([mine]) => mine.fd)
  say({ op: 'keep-servers', servers: [reference(5), reference(6)] }, [server as number])
  say({ op: 'keep-clients', clients: [reference(1), reference(2)] }, [client as number])
  say({ op: 'serve' })
  say({ op: 'release' })
  host.turn()
  assert.deepEqual(
    kept.map(({ kind, slot }) => [kind, slot]),
    [
      ['server', reference(5)],
      ['client', reference(1)],
    ],
  )
  assert.deepEqual(story, ['serve, having 2', 'release'])
  // Those whose descriptors were lost on the way are nobody's.
  link.flush()
  assert.deepEqual(told().messages, [
    { op: 'gone', clients: [reference(2)] },
    { op: 'drop', servers: [reference(6)] },
  ])
  for (const one of pairs.flat()) one.close()
})

test('who has left before this process had its turn is told before the word to serve', (t) => {
  const { host, story, say } = openKeeperLink(t)
  say({ op: 'ended', clients: [reference(1), reference(4)] })
  say({ op: 'serve' })
  host.turn()
  assert.deepEqual(story, ['1 has ended', '4 has ended', 'serve, having 0'])
})

test('a server connection and the news of being ready wait for room in the channel, and a closed one is not sent', (t) => {
  const { link, told } = openKeeperLink(t)
  const [[first, firstPeer], [second, secondPeer]] = [openSocketPair(), openSocketPair()]
  for (let slot = 0; slot < 200_000; slot++) link.gone(reference(slot))
  link.flush()
  link.keep({ slot: 3, generation: 200 }, first)
  link.keep({ slot: 4, generation: 200 }, second)
  link.ready()
  first.close()
  const seen: PlaneMessage[] = []
  const fds: OwnedFd[] = []
  for (let round = 0; round < 100 && fds.length === 0; round++) {
    const { messages, fds: more } = told()
    seen.push(...messages.filter(({ op }) => op !== 'gone'))
    fds.push(...more)
    link.flush()
  }
  assert.deepEqual(seen, [{ op: 'ready' }, { op: 'put', servers: [{ slot: 4, generation: 200 }] }])
  for (const one of [...fds, firstPeer, second, secondPeer]) one.close()
})

test('after the keeper’s death the next one gets listeners, clients and server connections that are open, and then the news', (t) => {
  const { host, link, keeper, announce, say, story } = openKeeperLink(t)
  const [one, two, three, listener] = [openSocketPair(), openSocketPair(), openSocketPair(), openSocketPair()]
  const place = { kind: 'tcp', address: '127.0.0.1', port: 6432 } as const
  say({ op: 'listener', place }, [listener[0].fd])
  say({ op: 'keep-servers', servers: [reference(5)] }, [one[0].fd])
  announce([newClient(1), newClient(2)], [two[0].fd, three[0].fd])
  host.turn()
  link.ready()
  link.keep(reference(6), one[1])
  link.keep(reference(7), two[1])
  keeper.close()
  host.turn()
  assert.deepEqual(story, ['keeper gone'])
  assert.equal(link.isAttached, false)
  link.gone(reference(9))
  link.drop(reference(7))
  const [mine, theirs] = FdChannel.pair()
  const next = new FdChannel(theirs)
  const adoptee = { plane: 0, generation: 4, pid: 4711 }
  link.attach(mine, { adoptee, fds: [listener[1].fd, listener[1].fd] })
  link.gone(reference(1))
  link.flush()
  const heard: (readonly [PlaneMessage, number])[] = []
  for (let packet = next.receive(); typeof packet === 'object'; packet = next.receive()) {
    heard.push([decodePlaneMessage(packet.bytes), packet.fds.length])
    for (const fd of packet.fds) fd.close()
  }
  assert.deepEqual(heard, [
    [{ op: 'adopt', adoptee: { ...adoptee, listeners: 1 } }, 2],
    [{ op: 'listener', place }, 1],
    [{ op: 'have', clients: [reference(1), reference(2)] }, 2],
    [{ op: 'put', servers: [reference(5), reference(6)] }, 2],
    [{ op: 'ready' }, 0],
    [{ op: 'gone', clients: [reference(1)] }, 0],
  ])
  next.close()
  host.turn()
  assert.deepEqual(story, ['keeper gone', 'keeper gone'])
  for (const fd of [...one, ...two, ...three, ...listener]) fd.close()
})
