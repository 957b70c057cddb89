import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Subscriber } from './subscriber.ts'
import { Subscriptions } from './subscriptions.ts'

class TestSubscriber implements Subscriber {
  readonly pool = null
  onNotification(): void {}
  onSynced(): void {}
  onSyncLost(): void {}
  onListenerFailed(): void {}
  onGap(): void {}
}

test('a server is told of the first subscriber of a channel and of the last one that leaves', () => {
  const subscriptions = new Subscriptions()
  const [one, two] = [new TestSubscriber(), new TestSubscriber()]
  subscriptions.add('a', one)
  subscriptions.add('b', one)
  subscriptions.add('a', two)
  assert.deepEqual(subscriptions.take(), { listen: ['a', 'b'], unlisten: [] })
  assert.equal(subscriptions.hasChanged, false)
  subscriptions.delete('a', one)
  assert.equal(subscriptions.hasChanged, false)
  subscriptions.delete('a', two)
  subscriptions.delete('a', two)
  assert.deepEqual(subscriptions.take(), { listen: [], unlisten: ['a'] })
})

test('who leaves and comes back between two questions is listened for', () => {
  const subscriptions = new Subscriptions()
  const one = new TestSubscriber()
  subscriptions.add('a', one)
  subscriptions.take()
  subscriptions.delete('a', one)
  subscriptions.add('a', one)
  assert.deepEqual(subscriptions.take(), { listen: ['a'], unlisten: [] })
})

test('a fresh server connection is told of everything', () => {
  const subscriptions = new Subscriptions()
  const one = new TestSubscriber()
  subscriptions.add('a', one)
  subscriptions.add('b', one)
  subscriptions.take()
  subscriptions.delete('b', one)
  subscriptions.startOver()
  assert.deepEqual(subscriptions.take(), { listen: ['a'], unlisten: [] })
})

test('channels and subscribers are two sides of the same', () => {
  const subscriptions = new Subscriptions()
  const [one, two] = [new TestSubscriber(), new TestSubscriber()]
  subscriptions.add('a', one)
  subscriptions.add('a', two)
  subscriptions.add('b', two)
  assert.deepEqual([...subscriptions.of('a')], [one, two])
  assert.deepEqual([...subscriptions.of('c')], [])
  assert.equal(subscriptions.channels, 2)
  assert.deepEqual([...(subscriptions.subscribers.get(two) ?? [])], ['a', 'b'])
  subscriptions.delete('a', one)
  assert.deepEqual([...subscriptions.subscribers.keys()], [two])
  subscriptions.delete('a', two)
  subscriptions.delete('b', two)
  assert.equal(subscriptions.isEmpty, true)
  assert.equal(subscriptions.subscribers.size, 0)
})
