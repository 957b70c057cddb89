import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Health, HealthState } from './health-state.ts'
import { unknownHealth } from './health-state.ts'
import { ShardEvents } from './shard-events.ts'

function open() {
  const told: string[] = []
  const publish = ({ level = 'info', what, reason = '' }: { level?: string; what: string; reason?: string }): void =>
    void told.push(`${level}: ${what} ${reason}`.trim())
  return { events: new ShardEvents('db1', { publish }), told }
}

const health = (state: HealthState, reason: string): Health => ({ ...unknownHealth(0), state, reason })

test('a state is told when it is another one, with a level that says how bad it is', () => {
  const { events, told } = open()
  events.health(unknownHealth(0), health('up', 'accepts connections'))
  events.health(health('up', 'accepts connections'), health('suspect', 'no answer'))
  events.health(health('suspect', 'no answer'), health('suspect', 'no answer yet'))
  events.health(health('down', 'refused'), health('up', 'accepts connections'))
  assert.deepEqual(told, [
    'info: db1 is up accepts connections',
    'warn: db1 is suspect no answer',
    'info: db1 is up again accepts connections',
  ])
})

test('another reason for being down is told', () => {
  const { events, told } = open()
  events.health(health('down', 'refused'), health('down', 'refused'))
  events.health(health('down', 'refused'), health('down', 'no route'))
  assert.deepEqual(told, ['error: db1 is down no route'])
})

test('a role is told with the one before it, and a restart with its time', () => {
  const { events, told } = open()
  events.became('replica', 'unknown', '18.4')
  events.became('primary', 'replica', null)
  events.restarted('2026-01-02 03:04:05+00')
  assert.deepEqual(told, [
    'info: db1 is a replica',
    'info: db1 is now a primary, it was a replica',
    'warn: db1 was restarted its server started at 2026-01-02 03:04:05+00',
  ])
})
