import assert from 'node:assert/strict'
import { test } from 'node:test'
import { recordsOf, TestRouter } from '../../router-control.fixture.ts'
import { showPreservation } from './show-preservation.ts'
import { showPreservedClients } from './show-preserved-clients.ts'

const alice = {
  slot: 5,
  generation: 2,
  user: 'alice',
  database: 'app',
  applicationName: 'web',
  address: '10.0.0.1',
  remotePort: 5000,
}

function routerWithEvent(): TestRouter {
  const router = new TestRouter()
  router.preserved = [
    {
      id: 3,
      event: 'plane-crash',
      plane: 0,
      beganAt: 60_000,
      stallMs: 41.5,
      kept: 2,
      relocated: 1,
      dropped: 2,
      told: 1,
      reasons: { 'it was leaving': 1, 'its login was not over': 1 },
      work: {
        readsRepeated: 0,
        replays: 3,
        replaysFailed: 0,
        replaysRefused: 0,
        commitsConfirmed: 1,
        commitsAborted: 0,
        commitsUnknown: 0,
      },
      clients: [
        { ...alice, kept: true, relocated: false },
        { ...alice, slot: 7, kept: true, relocated: true },
        { ...alice, slot: 6, kept: false, reason: 'it was leaving', told: true },
      ],
    },
  ]
  return router
}

test('an event is one row with its sums', () => {
  assert.deepEqual(recordsOf(showPreservation, routerWithEvent()), [
    {
      event_id: 3,
      event: 'plane-crash',
      plane: 0,
      began: '2026-01-01 00:01:00 UTC',
      stall_ms: 41.5,
      kept: 2,
      relocated: 1,
      dropped: 2,
      told: 1,
      reasons: 'it was leaving: 1, its login was not over: 1',
      work: 'transactions run again: 3, COMMITs confirmed: 1',
    },
  ])
})

test('each client of an event is a row; one that was dropped has a reason in place of a stall', () => {
  const names = { user: 'alice', database: 'app', application_name: 'web', addr: '10.0.0.1', port: 5000 }
  assert.deepEqual(recordsOf(showPreservedClients, routerWithEvent()), [
    { event_id: 3, id: 2 * 2 ** 22 + 5, outcome: 'kept', reason: null, told: null, stall_ms: 41.5, ...names },
    {
      event_id: 3,
      id: 2 * 2 ** 22 + 7,
      outcome: 'relocated',
      reason: 'its server connection was closed, and all of its state can be had again',
      told: null,
      stall_ms: 41.5,
      ...names,
    },
    {
      event_id: 3,
      id: 2 * 2 ** 22 + 6,
      outcome: 'dropped',
      reason: 'it was leaving',
      told: true,
      stall_ms: null,
      ...names,
    },
  ])
})
