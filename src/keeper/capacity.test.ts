import assert from 'node:assert/strict'
import { test } from 'node:test'
import { planCapacity } from './capacity.ts'

test('what is configured is what fits, with a reserve for polite refusals', () => {
  const { geometry, warning } = planCapacity({
    bufferMemoryBytes: 67_108_864,
    maxClients: 10_000,
    serverConnections: 240,
    openFiles: 20_000,
  })
  assert.equal(geometry.ordinaryClientSlots, 10_000)
  assert.equal(geometry.clientSlots, 10_064)
  assert.equal(warning, null)
})

test('too few open files mean fewer clients and a sentence with both numbers and the remedy', () => {
  const { geometry, warning } = planCapacity({
    bufferMemoryBytes: 67_108_864,
    maxClients: 10_000,
    serverConnections: 240,
    openFiles: 1024,
  })
  assert.equal(geometry.ordinaryClientSlots, 1024 - 240 - 64 - 128)
  assert.match(warning ?? '', /max_clients is 10000.*1024 open files.*enough for 592 clients.*Raise the limit to 10432/)
})

test('there is always a slot, however little the system allows', () => {
  const { geometry } = planCapacity({
    bufferMemoryBytes: 67_108_864,
    maxClients: 100,
    serverConnections: 400,
    openFiles: 256,
  })
  assert.equal(geometry.ordinaryClientSlots, 1)
})

test('server slots leave room for shards that a reload adds', () => {
  const slots = (serverConnections: number) =>
    planCapacity({ bufferMemoryBytes: 67_108_864, maxClients: 10, serverConnections, openFiles: 1e6 }).geometry
      .serverSlots
  assert.equal(slots(80), 2048)
  assert.equal(slots(5000), 10_000)
})
