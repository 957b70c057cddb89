import assert from 'node:assert/strict'
import { test } from 'node:test'
import { pino } from 'pino'
import { EVENT_KINDS, EventLog } from './event-log.ts'

function open(kept?: number) {
  const lines: Record<string, unknown>[] = []
  const log = pino({ base: null, timestamp: false }, { write: (line: string) => lines.push(JSON.parse(line)) })
  let now = 1000
  return { events: new EventLog(log, () => now++, kept), lines }
}

test('an event is kept with its time, counted, and written to the log with its reason', () => {
  const { events, lines } = open()
  events.publish({ kind: 'health', level: 'error', shard: 'db1', what: 'db1 is down', reason: 'connection refused' })
  events.publish({ kind: 'scaling', what: 'a shard is wanted', fields: { group: 'main' } })
  const rest = { level: 'info', shard: null, reason: '' }
  assert.deepEqual(events.events, [
    { id: 2, at: 1001, kind: 'scaling', what: 'a shard is wanted', ...rest },
    {
      id: 1,
      at: 1000,
      kind: 'health',
      level: 'error',
      shard: 'db1',
      what: 'db1 is down',
      reason: 'connection refused',
    },
  ])
  assert.deepEqual([events.counts.get('health'), events.counts.get('scaling'), events.counts.get('role')], [1, 1, 0])
  assert.deepEqual([...events.counts.keys()], [...EVENT_KINDS])
  assert.deepEqual(lines, [
    { level: 50, event: 'health', shard: 'db1', reason: 'connection refused', msg: 'db1 is down: connection refused' },
    { level: 30, event: 'scaling', group: 'main', msg: 'a shard is wanted' },
  ])
})

test('only so many are kept, and all are counted', () => {
  const { events } = open(3)
  for (let n = 1; n <= 7; n++) events.publish({ kind: 'role', what: `event ${n}` })
  assert.deepEqual(
    events.events.map(({ id, what }) => [id, what]),
    [
      [7, 'event 7'],
      [6, 'event 6'],
      [5, 'event 5'],
    ],
  )
  assert.equal(events.counts.get('role'), 7)
})
