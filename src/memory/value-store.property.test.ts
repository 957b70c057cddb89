import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ValueStore } from './value-store.ts'

const value = fc.uint8Array({ maxLength: 40 })

test('every value is found by its id, equal ones by the same, also by the process that comes next', () => {
  fc.assert(
    fc.property(fc.array(value, { maxLength: 30 }), (values) => {
      const memory = Buffer.alloc(4096)
      const store = new ValueStore(memory)
      const ids = values.map((one) => store.put(one))
      const heir = new ValueStore(memory)
      for (const [at, one] of values.entries()) {
        const id = ids[at] as number
        assert.notEqual(id, 0)
        assert.deepEqual(store.get(id), Buffer.from(one))
        assert.deepEqual(heir.get(id), Buffer.from(one))
        assert.equal(heir.put(one), id)
      }
      assert.equal(heir.used, store.used)
      assert.equal(heir.size, new Set(values.map(String)).size)
    }),
  )
})

test('a value that does not fit gets no id, and those that are there stay', () => {
  const store = new ValueStore(Buffer.alloc(64))
  const first = store.put(Buffer.alloc(20, 1))
  assert.equal(store.put(Buffer.alloc(40, 2)), 0)
  const second = store.put(Buffer.alloc(20, 3))
  assert.notEqual(second, 0)
  assert.deepEqual(store.get(first), Buffer.alloc(20, 1))
  assert.deepEqual(store.get(second), Buffer.alloc(20, 3))
})

test('what was not finished when its process died does not exist', () => {
  const memory = Buffer.alloc(256)
  const store = new ValueStore(memory)
  const id = store.put(Buffer.from('whole'))
  // Length and bytes of the next one, without the end that has moved.
  memory.writeUInt32LE(4, store.used)
  memory.write('half', store.used + 4)
  const heir = new ValueStore(memory)
  assert.equal(heir.size, 1)
  assert.equal(heir.get(id + 100), null)
  assert.equal(heir.get(0), null)
  assert.equal(heir.put(Buffer.from('other')), id + 2)
  assert.equal(String(heir.get(id + 2)), 'other')
})
