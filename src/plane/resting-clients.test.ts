import assert from 'node:assert/strict'
import { arch } from 'node:os'
import { type TestContext, test } from 'node:test'
import type { OwnedFd } from '../io/owned-fd.ts'
import { Poller, READABLE } from '../io/poller.ts'
import { openSocketPair } from '../io/socket.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { type RestingClient, RestingClients } from './resting-clients.ts'

/** Clients 0 to `count` − 1 at rest, and a diary of what became of them. */
function rest(t: TestContext, count: number) {
  const poller = new Poller(arch())
  const timers = new TimerWheel(1000)
  const diary: string[] = []
  const fds: OwnedFd[] = []
  const peers: OwnedFd[] = []
  const host = {
    now: 1000,
    poller,
    timers,
    begin: ({ slot }: RestingClient) => {
      diary.push(`begin ${slot}`)
      return { onReady: (events: number) => diary.push(`event ${slot} ${events}`) }
    },
    countLogin: ({ slot }: RestingClient, delta: number) => diary.push(`count ${slot} ${delta}`),
    noneLeft: () => diary.push('none left'),
  }
  const clients = new RestingClients(host)
  clients.add(
    Array.from({ length: count }, (_, slot) => {
      const [fd, peer] = openSocketPair()
      fds.push(fd)
      peers.push(peer)
      return { slot, generation: 1, fd, key: -1, section: 0, user: 'ada', database: 'shop' }
    }),
  )
  t.after(() => {
    for (const fd of [...fds, ...peers]) fd.close()
    poller.close()
  })
  return { clients, poller, timers, host, diary, peers }
}

const begun = (diary: readonly string[]): number => diary.filter((line) => line.startsWith('begin')).length

test('a session begins when its client says something, and gets the event', (t) => {
  const { clients, poller, diary, peers } = rest(t, 2)
  assert.deepEqual([clients.size, diary], [2, ['count 0 1', 'count 1 1']])
  poller.dispatch(poller.wait(0))
  assert.equal(clients.size, 2)
  peers[1]?.close()
  diary.length = 0
  poller.dispatch(poller.wait(1000))
  assert.deepEqual([diary[0], diary[1]], ['count 1 -1', 'begin 1'])
  assert.match(diary[2] ?? '', /^event 1 \d+$/)
  assert.equal(clients.size, 1)
  poller.dispatch(poller.wait(0))
  assert.equal(diary.length, 3, 'it is not watched here any more')
})

test('one that the poller knows already is watched there on', (t) => {
  const { clients, poller, diary } = rest(t, 0)
  const [fd, peer] = openSocketPair()
  const key = poller.add(fd, READABLE, { onReady: () => diary.push('not told') })
  clients.add([{ slot: 7, generation: 1, fd, key, section: 0, user: 'ada', database: 'shop' }])
  diary.length = 0
  peer.close()
  poller.dispatch(poller.wait(1000))
  assert.deepEqual(diary.slice(0, 2), ['count 7 -1', 'begin 7'])
  assert.equal(poller.wait(0), 0)
  fd.close()
})

test('one whom somebody asks for begins at once, and only once', (t) => {
  const { clients, diary } = rest(t, 2)
  assert.ok(clients.wake(0) !== null)
  assert.equal(clients.wake(0), null)
  assert.deepEqual(
    Array.from(clients.all, ({ slot }) => slot),
    [1],
  )
  assert.ok(!diary.includes('none left'))
  clients.wakeAll()
  assert.equal(begun(diary), 2)
  assert.equal(diary.at(-1), 'none left')
})

test('after a moment all begin, a few at a time', (t) => {
  const { clients, timers, host, diary } = rest(t, 40)
  host.now += 200
  timers.advance(host.now)
  assert.equal(begun(diary), 0, 'those who waited come first')
  let most = 0
  for (let turns = 0; clients.size > 0; turns++) {
    assert.ok(turns < 20)
    const before = begun(diary)
    host.now += 16
    timers.advance(host.now)
    most = Math.max(most, begun(diary) - before)
  }
  assert.equal(begun(diary), 40)
  assert.ok(most <= 16, `${most} at once`)
  assert.equal(timers.armed, 0)
})

test('where nobody rests, that is said', (t) => {
  assert.deepEqual(rest(t, 0).diary, ['none left'])
})
