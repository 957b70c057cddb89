import assert from 'node:assert/strict'
import { arch } from 'node:os'
import { test } from 'node:test'
import { RawPeer } from './link-host.fixture.ts'
import { native } from './native.ts'
import { HANG_UP, ONCE, PEER_ENDED, Poller, type PollTarget, READABLE, WRITABLE } from './poller.ts'
import { openSocketPair } from './socket.ts'

class Target implements PollTarget {
  readonly seen: number[] = []
  readonly #then: () => void

  constructor(then: () => void = () => {}) {
    this.#then = then
  }

  onReady(events: number): void {
    this.seen.push(events)
    this.#then()
  }
}

function open(t: { after(run: () => void): void }): Poller {
  const poller = new Poller(arch())
  t.after(() => void native.close(poller.fd))
  return poller
}

test('each of many descriptors is told of its own events, and of no others', (t) => {
  const poller = open(t)
  // More than one struct epoll_event: a wrong size of it would mix them up.
  const pairs = Array.from({ length: 20 }, () => openSocketPair())
  const targets = pairs.map(([mine]) => {
    const target = new Target()
    poller.add(mine, READABLE, target)
    return target
  })
  pairs.forEach(([, theirs], index) => {
    if (index % 3 === 0) new RawPeer(theirs).send('x')
    if (index % 3 === 1) theirs.close()
  })
  poller.dispatch(poller.wait(0))
  for (const [index, { seen }] of targets.entries()) {
    if (index % 3 === 0) assert.deepEqual(seen, [READABLE])
    else if (index % 3 === 1) assert.deepEqual(seen, [READABLE | (HANG_UP & 0x10)])
    else assert.deepEqual(seen, [])
  }
  for (const one of pairs.flat()) one.close()
})

test('readiness is told again until it is used up', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  const target = new Target()
  poller.add(mine, READABLE, target)
  new RawPeer(theirs).send('x')
  poller.dispatch(poller.wait(0))
  poller.dispatch(poller.wait(0))
  assert.deepEqual(target.seen, [READABLE, READABLE])
  new RawPeer(mine).receive()
  assert.equal(poller.wait(0), 0)
  mine.close()
  theirs.close()
})

test('what is watched with ONCE is told once, and again of what comes later, of the end, and after a change', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  const target = new Target()
  const interest = READABLE | PEER_ENDED | ONCE
  const key = poller.add(mine, interest, target)
  const peer = new RawPeer(theirs)
  const turn = (): void => poller.dispatch(poller.wait(0))
  peer.send('x')
  for (let n = 0; n < 3; n++) turn()
  assert.deepEqual(target.seen.splice(0), [READABLE])
  peer.send('y')
  for (let n = 0; n < 3; n++) turn()
  assert.deepEqual(target.seen.splice(0), [READABLE])
  poller.change(key, mine, interest)
  for (let n = 0; n < 3; n++) turn()
  assert.deepEqual(target.seen.splice(0), [READABLE])
  peer.end()
  for (let n = 0; n < 3; n++) turn()
  assert.deepEqual(target.seen, [READABLE | PEER_ENDED])
  mine.close()
  theirs.close()
})

test('what throws costs nobody else the event that is told once', (t) => {
  const poller = open(t)
  const pairs = Array.from({ length: 5 }, () => openSocketPair())
  const targets = pairs.map(([mine, theirs], at) => {
    const target = new Target(() => {
      if (at % 2 === 0) throw new Error('broken')
    })
    poller.add(mine, READABLE | ONCE, target)
    new RawPeer(theirs).send('x')
    return target
  })
  let settled = 0
  assert.throws(() => poller.dispatch(poller.wait(0), () => settled++), /broken/)
  assert.deepEqual(
    targets.map(({ seen }) => seen),
    pairs.map(() => [READABLE]),
  )
  assert.equal(settled, 2)
  for (const one of pairs.flat()) one.close()
})

test('a change of interest counts from the next wait on', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  const target = new Target()
  const key = poller.add(mine, 0, target)
  new RawPeer(theirs).send('x')
  assert.equal(poller.wait(0), 0)
  poller.change(key, mine, WRITABLE)
  poller.dispatch(poller.wait(0))
  poller.change(key, mine, READABLE | WRITABLE)
  poller.dispatch(poller.wait(0))
  poller.change(key, mine, 0)
  assert.equal(poller.wait(0), 0)
  assert.deepEqual(target.seen, [WRITABLE, READABLE | WRITABLE])
  mine.close()
  theirs.close()
})

test('what is removed is told nothing, not even what is in the batch already', (t) => {
  const poller = open(t)
  const [a, toA] = openSocketPair()
  const [b, toB] = openSocketPair()
  const keys: number[] = []
  const first = new Target(() => poller.remove(keys[1] as number, b))
  const second = new Target(() => poller.remove(keys[0] as number, a))
  keys.push(poller.add(a, READABLE, first), poller.add(b, READABLE, second))
  new RawPeer(toA).send('x')
  new RawPeer(toB).send('x')
  poller.dispatch(poller.wait(0))
  assert.equal(first.seen.length + second.seen.length, 1)
  for (const one of [a, b, toA, toB]) one.close()
})

test('an event for a closed descriptor does not reach the one that got its number and key', (t) => {
  const poller = open(t)
  const [a, toA] = openSocketPair()
  const [b, toB] = openSocketPair()
  const heirs: Target[] = []
  const opened: ReturnType<typeof openSocketPair>[] = []
  let keyOfB = 0
  // Both are ready; whoever is served first closes the other and opens a connection, which gets its number.
  const replace = (): void => {
    if (heirs.length > 0) return
    const number = b.fd
    poller.remove(keyOfB, b)
    b.close()
    const pair = openSocketPair()
    opened.push(pair)
    assert.equal(pair[0].fd, number)
    const heir = new Target()
    heirs.push(heir)
    assert.equal(poller.add(pair[0], READABLE, heir), keyOfB)
  }
  poller.add(a, READABLE, new Target(replace))
  keyOfB = poller.add(b, READABLE, new Target())
  new RawPeer(toA).send('x')
  new RawPeer(toB).send('x')
  const count = poller.wait(0)
  assert.equal(count, 2)
  poller.dispatch(count)
  assert.deepEqual(
    heirs.map(({ seen }) => seen),
    [[]],
  )
  // It is told of its own events.
  const pair = opened[0]
  assert.ok(pair !== undefined)
  new RawPeer(pair[1]).send('y')
  poller.dispatch(poller.wait(0))
  assert.deepEqual(heirs[0]?.seen, [READABLE])
  for (const one of [a, toA, toB, ...pair]) one.close()
})

test('a duplicate of the descriptor elsewhere does not keep a removed one watched', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  const F_DUPFD = 0
  const duplicate = native.fcntl(mine.fd, F_DUPFD, 100)
  const target = new Target()
  const key = poller.add(mine, READABLE, target)
  poller.remove(key, mine)
  mine.close()
  new RawPeer(theirs).send('x')
  assert.equal(poller.wait(0), 0)
  native.close(duplicate)
  theirs.close()
})

test('a wait ends with its time, and at once when something is ready', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  poller.add(mine, READABLE, new Target())
  const before = performance.now()
  assert.equal(poller.wait(20), 0)
  assert.ok(performance.now() - before >= 15)
  new RawPeer(theirs).send('x')
  assert.equal(poller.wait(-1), 1)
  mine.close()
  theirs.close()
})

test('a descriptor that cannot be watched is an error of the call, with its name', (t) => {
  const poller = open(t)
  const [mine, theirs] = openSocketPair()
  poller.add(mine, READABLE, new Target())
  assert.throws(() => poller.add(mine, READABLE, new Target()), /epoll_ctl: EEXIST/)
  mine.close()
  theirs.close()
})
