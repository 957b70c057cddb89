import assert from 'node:assert/strict'
import { test } from 'node:test'
import { queryObjects } from 'node:v8'
import { openPlane, type TestClient, type TestPlane } from '../plane/plane.fixture.ts'
import { SessionPins } from '../session/session-pins.ts'
import { nodeHeap } from '../util/node-heap.ts'
import { ClientSession } from './client-session.ts'
import { Greeting } from './greeting.ts'
import { PeerProbe } from './peer-probe.ts'
import { PinReview } from './pin-review.ts'
import { PoolChoice } from './pool-choice.ts'
import { Refusals } from './refusals.ts'
import { SessionListening } from './session-listening.ts'
import { StatementRelay } from './statement-relay.ts'

const heap = nodeHeap(() => {})

function usedBytes(): number {
  heap.collect()
  return heap.usedBytes()
}

/** Clients that have logged in, have asked something, and rest. */
function openClients(plane: TestPlane, count: number): TestClient[] {
  return Array.from({ length: count }, () => {
    const client = plane.connect().login()
    client.query('select 1')
    assert.deepEqual(client.told(), ['Z I'])
    return client
  })
}

/** How many there are of a class, after a collection. */
function countOf(type: Parameters<typeof queryObjects>[0]): number {
  return Number(queryObjects(type, { format: 'count' }))
}

test('a session at rest has nothing that only few sessions need, and shares what is alike', (t) => {
  const plane = openPlane(t)
  openClients(plane, 8)
  const rare = [Greeting, PeerProbe, PinReview, Refusals, SessionListening, SessionPins, StatementRelay]
  for (const type of rare) assert.equal(countOf(type), 0, type.name)
  assert.deepEqual([countOf(ClientSession), countOf(PoolChoice)], [8, 1])
})

test('a session at rest takes less than 2 KB of the heap, and nothing is left of it when it is closed', (t) => {
  const count = 240
  const plane = openPlane(t, {}, 2, 300)
  const warmUp = openClients(plane, 50)
  const clients = openClients(plane, count)
  const before = usedBytes()
  for (const { peer } of clients) peer.close()
  plane.settle()
  assert.equal(plane.plane.sessions.size, warmUp.length)
  const bytes = (before - usedBytes()) / count
  assert.ok(bytes > 500 && bytes < 2048, `${bytes} bytes`)
  assert.equal(countOf(ClientSession), warmUp.length)
})
