import assert from 'node:assert/strict'
import { test } from 'node:test'
import { OwnedFd } from '../io/owned-fd.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { KeeperSearch } from './keeper-search.ts'

test('a plane dials until there is a keeper, and asks for one when nobody has started it', () => {
  const timers = new TimerWheel(0)
  let dials = 0
  let helps = 0
  let found = 0
  const host = {
    now: 0,
    timers,
    dial: () => {
      dials++
      return host.now < 7_000 ? null : new OwnedFd(-1)
    },
    found: () => {
      found++
    },
    help: () => {
      helps++
    },
  }
  new KeeperSearch(host).start()
  assert.equal(dials, 1)
  for (; host.now < 8_000; host.now += 10) timers.advance(host.now)
  assert.ok(dials > 80 && dials < 150, String(dials))
  assert.deepEqual([helps, found], [2, 1])
})
