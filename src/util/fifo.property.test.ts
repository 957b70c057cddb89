import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fifo, type FifoNode } from './fifo.ts'

class Item implements FifoNode {
  readonly name: number
  fifoPrevious: FifoNode | null = null
  fifoNext: FifoNode | null = null
  fifo: Fifo<FifoNode> | null = null

  constructor(name: number) {
    this.name = name
  }
}

const items = (count: number): Item[] => Array.from({ length: count }, (_, name) => new Item(name))

test('a list is an array: pushed at the end, shifted from the front, removed from anywhere', () => {
  const step = fc.oneof(
    fc.record({ op: fc.constantFrom('push' as const, 'remove' as const), item: fc.nat(9) }),
    fc.record({ op: fc.constant('shift' as const), item: fc.constant(0) }),
  )
  fc.assert(
    fc.property(fc.array(step, { maxLength: 80 }), (steps) => {
      const all = items(10)
      const fifo = new Fifo<Item>()
      let model: Item[] = []
      for (const { op, item } of steps) {
        const node = all[item] as Item
        if (op === 'shift') assert.equal(fifo.shift(), model.shift() ?? null)
        else if (op === 'remove') {
          fifo.remove(node)
          model = model.filter((other) => other !== node)
        } else if (model.includes(node)) assert.throws(() => fifo.push(node), /in a list already/)
        else {
          fifo.push(node)
          model.push(node)
        }
        assert.equal(fifo.length, model.length)
        assert.equal(fifo.first, model[0] ?? null)
        for (const one of all) assert.equal(one.fifo !== null, model.includes(one))
      }
      const rest: Item[] = []
      for (let node = fifo.shift(); node !== null; node = fifo.shift()) rest.push(node)
      assert.deepEqual(rest, model)
    }),
  )
})

test('an element that has left a list keeps no neighbour alive', () => {
  const fifo = new Fifo<Item>()
  const [first, middle, last] = items(3) as [Item, Item, Item]
  for (const item of [first, middle, last]) fifo.push(item)
  fifo.remove(middle)
  assert.deepEqual([middle.fifoPrevious, middle.fifoNext, middle.fifo], [null, null, null])
  assert.equal(first.fifoNext, last)
  assert.equal(last.fifoPrevious, first)
})

test('an element of another list can be neither pushed nor removed', () => {
  const [one, other] = [new Fifo<Item>(), new Fifo<Item>()]
  const item = new Item(1)
  one.push(item)
  assert.throws(() => other.push(item), /in a list already/)
  assert.throws(() => other.remove(item), /in another list/)
  assert.equal(one.length, 1)
  assert.equal(other.length, 0)
  one.remove(item)
  other.push(item)
  assert.equal(other.shift(), item)
})
