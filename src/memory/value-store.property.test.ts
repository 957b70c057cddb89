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

/** Puts, and sweeps that keep the last few. */
const deeds = fc.array(fc.option(fc.uint8Array({ maxLength: 300 }), { freq: 8 }), { maxLength: 200 })

test('after sweeps, what was kept is found by whoever comes next, and what was not is made room of', () => {
  fc.assert(
    fc.property(deeds, fc.integer({ min: 0, max: 12 }), (all, most) => {
      const memory = Buffer.alloc(8192)
      const store = new ValueStore(memory)
      let kept: { readonly id: number; readonly value: Buffer }[] = []
      for (const one of all) {
        if (one !== null) {
          const value = Buffer.from(one)
          const id = store.put(value)
          if (id !== 0) kept.push({ id, value })
        } else {
          kept = most === 0 ? [] : kept.slice(-most)
          store.sweep(new Set(kept.map(({ id }) => id)))
          assert.ok(store.size <= kept.length)
          if (kept.length === 0) assert.equal(store.room, memory.length - 8)
        }
        const heir = new ValueStore(Buffer.from(memory))
        for (const { id, value } of kept) {
          assert.deepEqual(store.get(id), value)
          assert.deepEqual(heir.get(id), value)
        }
      }
    }),
  )
})

test('memory stays bounded however much comes and goes, and nothing is refused', () => {
  const store = new ValueStore(Buffer.alloc(65_536))
  const live: { id: number; value: Buffer }[] = []
  let sweeps = 0
  for (let turn = 0; turn < 50_000; turn++) {
    const value = Buffer.alloc(10 + ((turn * 7919) % 900), `${turn};`)
    const id = store.put(value)
    assert.notEqual(id, 0, `${turn} after ${sweeps} sweeps`)
    live.push({ id, value })
    if (live.length > 20) live.shift()
    if (!store.isCrowded) continue
    sweeps++
    store.sweep(new Set(live.map((one) => one.id)))
    for (const one of live) assert.deepEqual(store.get(one.id), one.value)
  }
  assert.ok(sweeps > 100)
})

test('ids of another epoch are no good, whoever has swept', () => {
  const memory = Buffer.alloc(512)
  const store = new ValueStore(memory)
  const onStandby = new ValueStore(memory)
  const remembered = { storedAs: store.put(Buffer.from('settings')), storedIn: store.epoch }
  onStandby.catchUp()
  assert.ok(store.has(remembered) && onStandby.has(remembered))
  assert.equal(onStandby.put(Buffer.from('settings')), remembered.storedAs)
  store.sweep(new Set())
  assert.ok(!store.has(remembered) && !onStandby.has(remembered))
  const id = store.put(Buffer.from('a longer one than before, in the same place'))
  onStandby.catchUp()
  assert.notEqual(onStandby.put(Buffer.from('settings')), remembered.storedAs)
  assert.equal(String(onStandby.get(id)), 'a longer one than before, in the same place')
  assert.ok(!store.has({ storedAs: 0, storedIn: store.epoch }))
})

test('values from before are found again when the successor has swept', () => {
  const memory = Buffer.alloc(512)
  const store = new ValueStore(memory)
  const onStandby = new ValueStore(memory)
  const kept = store.put(Buffer.from('kept'))
  store.sweep(new Set([kept]))
  onStandby.catchUp()
  assert.equal(onStandby.size, 0)
  onStandby.sweep(new Set([kept]))
  assert.equal(onStandby.put(Buffer.from('kept')), kept)
})

test('a place that an id points into stays as it is', () => {
  const store = new ValueStore(Buffer.alloc(512))
  const id = store.put(Buffer.alloc(100, 7))
  store.put(Buffer.alloc(100, 8))
  store.sweep(new Set([id + 3]))
  store.put(Buffer.alloc(50, 9))
  assert.deepEqual(store.get(id), Buffer.alloc(100, 7))
})

test('places that are too short for a value are put together, although there is room enough', () => {
  const store = new ValueStore(Buffer.alloc(4096))
  const fill = (bytes: number, of: number): number[] => {
    const ids: number[] = []
    for (let id = store.put(Buffer.alloc(bytes, of)); id !== 0; id = store.put(Buffer.alloc(bytes, ++of))) ids.push(id)
    return ids
  }
  const ids = fill(60, 1)
  store.sweep(new Set(ids.filter((_, at) => at % 2 === 0)))
  assert.ok(!store.isScarce)
  assert.equal(store.put(Buffer.alloc(300, 99)), 0)
  assert.ok(store.isCrowded)
  store.sweep(new Set())
  assert.ok(!store.isCrowded)
  assert.notEqual(store.put(Buffer.alloc(300, 99)), 0)
})
