import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readNotification } from '../protocol/notification.ts'
import { MessageWriter } from '../protocol/writer.ts'
import { WaitingNotifications } from './waiting-notifications.ts'

function message(processId: number, channel: string, payload = ''): Buffer {
  const writer = new MessageWriter()
  return Buffer.from(writer.begin(0x41).int32(processId).text(channel).text(payload).end().bytes)
}

/** Process and channel of each of several messages. */
function read(bytes: Buffer): string[] {
  const list: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const end = at + 1 + bytes.readInt32BE(at + 1)
    const { processId, channel } = readNotification(bytes, at + 5, end)
    list.push(`${processId} ${channel}`)
    at = end
  }
  return list
}

test('they leave in order, and then none waits', () => {
  const waiting = new WaitingNotifications()
  for (const channel of ['a', 'b', 'a']) waiting.add(channel, message(7, channel))
  assert.equal(waiting.isEmpty, false)
  assert.deepEqual(read(waiting.take()), ['7 a', '7 b', '7 a'])
  assert.equal(waiting.isEmpty, true)
  assert.equal(waiting.bytes, 0)
})

test('those of other channels are forgotten, and take no memory; notices stay', () => {
  const waiting = new WaitingNotifications()
  waiting.add('a', message(7, 'a'))
  const one = waiting.bytes
  waiting.add('b', message(7, 'b', 'x'.repeat(100)))
  waiting.add(null, message(0, 'notice'))
  assert.ok(waiting.bytes > one + 100)
  waiting.keepOnly(new Set(['a']))
  assert.deepEqual(read(waiting.take()), ['7 a', '0 notice'])
  assert.ok(one >= message(7, 'a').length)
})

test('the last ones of a process are the own ones', () => {
  const waiting = new WaitingNotifications()
  for (const [pid, channel] of [
    [7, 'before'],
    [8, 'other'],
    [7, 'own'],
    [8, 'other'],
    [7, 'own'],
  ] as const) {
    waiting.add(channel, message(pid, channel))
  }
  waiting.claim(2, 7, 1000, new Set(['other']))
  assert.deepEqual(read(waiting.take()), ['7 before', '8 other', '1000 own', '8 other', '1000 own'])
})

test('what a process notified of before it listened is forgotten, whoever had it then', () => {
  const waiting = new WaitingNotifications()
  for (const [pid, channel] of [
    [7, 'fresh'],
    [7, 'known'],
    [8, 'fresh'],
    [7, 'fresh'],
  ] as const) {
    waiting.add(channel, message(pid, channel))
  }
  waiting.add(null, message(7, 'notice'))
  waiting.claim(1, 7, 1000, new Set(['fresh']))
  assert.deepEqual(read(waiting.take()), ['7 known', '8 fresh', '1000 fresh', '7 notice'])
})

test('what was read into a shared buffer is copied', () => {
  const waiting = new WaitingNotifications()
  const shared = message(7, 'a')
  waiting.add('a', shared)
  shared.fill(0)
  assert.deepEqual(read(waiting.take()), ['7 a'])
})
