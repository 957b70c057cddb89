import assert from 'node:assert/strict'
import { test } from 'node:test'
import { regionsOf } from './layout.ts'
import { formatSharedState } from './shared-state.ts'
import { markedSlot, slotMark } from './slot-mark.ts'

const geometry = {
  clientSlots: 5,
  ordinaryClientSlots: 5,
  serverSlots: 3,
  poolRecords: 1,
  planes: 1,
  arenaBytesPerPlane: 0,
}
const { clients, servers } = formatSharedState(new ArrayBuffer(regionsOf(geometry).totalBytes), geometry, 0)

test('each slot of both regions has a mark of its own that leads back to it', () => {
  const marks = new Set<number>()
  for (const [kind, region] of [['client', clients] as const, ['server', servers] as const]) {
    for (let slot = 0; slot < region.count; slot++) {
      const mark = slotMark(region, slot)
      marks.add(mark)
      assert.deepEqual(markedSlot(clients, servers, mark), { kind, slot })
    }
  }
  assert.equal(marks.size, 8)
})

test('a mark that no slot has leads nowhere', () => {
  for (const mark of [0, -1, slotMark(clients, 5), slotMark(servers, 3)]) {
    assert.equal(markedSlot(clients, servers, mark), null)
  }
})
