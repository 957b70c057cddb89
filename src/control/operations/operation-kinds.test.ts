import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { OperationRequest } from './operation.ts'
import { eventKindOf, isScaling, makesWay, reportedAs } from './operation-kinds.ts'

const request = (kind: OperationRequest['kind']): OperationRequest => ({ kind }) as OperationRequest

test('what makes shards, or takes them away, is scaling, and no client notices it', () => {
  for (const kind of ['scale-out', 'scale-in'] as const) {
    assert.deepEqual(
      [isScaling(request(kind)), eventKindOf(request(kind)), reportedAs(request(kind))],
      [true, 'scaling', null],
    )
  }
  assert.equal(isScaling(undefined), false)
})

test('what clients can notice is reported by its name; a failover is told as one', () => {
  assert.deepEqual([reportedAs(request('failover')), eventKindOf(request('failover'))], ['failover', 'failover'])
  assert.deepEqual([reportedAs(request('restart')), eventKindOf(request('restart'))], ['restart', 'operation'])
  assert.deepEqual([reportedAs(request('drain')), eventKindOf(request('drain'))], [null, 'operation'])
})

test('a failover waits for no scaling and no rejoining, which no client notices', () => {
  assert.deepEqual([makesWay(request('scale-out')), makesWay(request('rejoin'))], [true, true])
  assert.deepEqual([makesWay(request('restart')), makesWay(undefined)], [false, false])
  assert.deepEqual([reportedAs(request('rejoin')), eventKindOf(request('rejoin'))], [null, 'failover'])
})
