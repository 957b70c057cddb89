import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { formatSlotId, parseSlotId } from './slot-id.ts'

test('an id gives back its slot and generation, and stays a whole number', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 22 - 1), fc.nat(2 ** 31 - 1), (slot, generation) => {
      const id = formatSlotId({ slot, generation })
      assert.ok(Number.isSafeInteger(id))
      assert.deepEqual(parseSlotId(id), { slot, generation })
    }),
  )
})

test('what can be no id is none', () => {
  for (const id of [-1, 1.5, 2 ** 53, Number.NaN]) assert.equal(parseSlotId(id), null)
})
