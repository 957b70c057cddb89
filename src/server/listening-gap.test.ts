import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ListeningGap } from './listening-gap.ts'
import type { Subscriber } from './subscriber.ts'
import { Subscriptions } from './subscriptions.ts'

/** A gap of one session that listens to `a`, with what it and the plane were told. */
function openGap() {
  const told: string[] = []
  const host = {
    now: 1000,
    log: (_level: string, message: string) => told.push(message),
    countPlane: (field: string) => told.push(field),
  }
  const session: Subscriber = {
    pool: null,
    onNotification: () => {},
    onSynced: () => {},
    onSyncLost: () => {},
    onListenerFailed: () => {},
    onGap: (milliseconds) => told.push(`${milliseconds} ms`),
  }
  const subscriptions = new Subscriptions()
  subscriptions.add('a', session)
  return { gap: new ListeningGap(host, subscriptions), host, subscriptions, session, told }
}

test('sessions are told how long nobody listened, from the first loss on', () => {
  const { gap, host, told } = openGap()
  gap.begin('reset')
  host.now = 1500
  gap.begin('reset again')
  host.now = 2000
  gap.end()
  assert.deepEqual(told, [
    'listenersLost',
    'listening connection lost',
    'listenersLost',
    'listening connection lost',
    'listens again: notifications of the time between are lost',
    '1000 ms',
  ])
  assert.equal(gap.isOpen, false)
})

test('without a loss nobody is told anything, nor of one that is forgotten', () => {
  const { gap, told } = openGap()
  gap.end()
  gap.begin('reset')
  gap.forget()
  told.length = 0
  gap.end()
  assert.deepEqual(told, [])
})

test('a connection that listens for nobody may go', () => {
  const { gap, subscriptions, session, told } = openGap()
  subscriptions.delete('a', session)
  gap.begin('nobody listens any more')
  assert.deepEqual([gap.isOpen, told], [false, []])
})
