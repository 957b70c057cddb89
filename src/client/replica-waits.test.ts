import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { PoolWaiter } from '../server/pool-waiter.ts'
import { TimerWheel } from '../util/timer-wheel.ts'
import { ReplicaWaits } from './replica-waits.ts'

function waiter(requeue: () => void): PoolWaiter {
  const node = { fifo: null, fifoNext: null, fifoPrevious: null, claim: 0, waitsAs: -1, waitingSince: 0 }
  const never = (): never => assert.fail('it was not for a pool')
  return { ...node, requeue, reroute: never, onServer: never, onPoolFailed: never }
}

test('who waits is asked once per tick, in order, as long as it comes back', () => {
  const host = { timers: new TimerWheel(0), now: 0 }
  const waits = new ReplicaWaits(host)
  const asked: string[] = []
  let stubborn = 3
  const first = waiter(() => {
    asked.push('first')
    if (--stubborn > 0) waits.wait(first)
  })
  const second = waiter(() => asked.push('second'))
  waits.wait(first)
  waits.wait(second)
  const gone = waiter(() => assert.fail('it is gone'))
  waits.wait(gone)
  gone.fifo?.remove(gone)
  for (host.now = 16; host.now <= 160; host.now += 16) host.timers.advance(host.now)
  assert.deepEqual(asked, ['first', 'second', 'first', 'first'])
  assert.equal(waits.length, 0)
})
