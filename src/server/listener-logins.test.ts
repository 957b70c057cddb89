import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ListenerLogins } from './listener-logins.ts'
import type { ListeningPlace, Subscriber } from './subscriber.ts'
import { Subscriptions } from './subscriptions.ts'

/** A session that is logged in as `user`. */
function sessionOf(user: string, paused = false): Subscriber {
  return {
    pool: { target: { user }, paused, record: 0 } as ListeningPlace,
    onNotification: () => {},
    onSynced: () => {},
    onSyncLost: () => {},
    onListenerFailed: () => {},
    onGap: () => {},
  }
}

/** Logins for these sessions, all of which listen. */
function loginsFor(...sessions: Subscriber[]): ListenerLogins {
  const subscriptions = new Subscriptions()
  for (const session of sessions) subscriptions.add('a', session)
  return new ListenerLogins(subscriptions)
}

const userOf = ({ place }: ListenerLogins): string | null => place.target?.target.user ?? null

test('logs in as any of the sessions that listen, where nothing is paused', () => {
  const paused = sessionOf('ada', true)
  assert.equal(userOf(loginsFor(paused, sessionOf('bob'))), 'bob')
  assert.deepEqual(loginsFor(paused).place, { target: null, isPaused: true })
  assert.deepEqual(loginsFor().place, { target: null, isPaused: false })
})

test('whom the server refuses is not tried again before everybody has been', () => {
  const logins = loginsFor(sessionOf('ada'), sessionOf('bob'))
  assert.equal(logins.failed('28P01', 'ada'), 'another')
  assert.equal(userOf(logins), 'bob')
  assert.equal(logins.failed('28P01', 'bob'), 'vain')
  assert.equal(userOf(logins), 'ada')
})

test('after a login everybody is welcome again', () => {
  const logins = loginsFor(sessionOf('ada'), sessionOf('bob'))
  logins.failed('28P01', 'ada')
  logins.succeeded()
  assert.equal(userOf(logins), 'ada')
})

test('a shard that cannot be reached is waited for, but not for ever', () => {
  const logins = loginsFor(sessionOf('ada'))
  const verdicts = (): string[] => Array.from({ length: 3 }, () => logins.failed('08001', 'ada'))
  assert.deepEqual(verdicts(), ['later', 'later', 'vain'])
  logins.succeeded()
  assert.deepEqual(verdicts(), ['later', 'later', 'vain'])
})
