import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type BufferArena, LARGEST_BUFFER_BYTES } from './buffer-arena.ts'
import { openArena } from './link-host.fixture.ts'

const PAGE = 4096
const ARENA_BYTES = 3 * 1024 * 1024
const SIZES = [PAGE, 4 * PAGE, 16 * PAGE, 64 * PAGE, 256 * PAGE]

interface Model {
  /** Handle → what its bytes were filled with. */
  readonly live: Map<number, number>
  /** Handle → capacity of every buffer that there ever was. */
  readonly made: Map<number, number>
  fill: number
}

class Allocate implements fc.Command<Model, BufferArena> {
  readonly bytes: number
  constructor(bytes: number) {
    this.bytes = bytes
  }
  check(): boolean {
    return true
  }
  run(model: Model, arena: BufferArena): void {
    const handle = arena.allocate(this.bytes)
    if (handle === 0) {
      assert.ok(this.bytes > LARGEST_BUFFER_BYTES || !mustFit(model, arena, this.bytes))
      return
    }
    assert.ok(!model.live.has(handle))
    const capacity = arena.capacity(handle)
    assert.ok(capacity >= this.bytes, `${capacity} bytes for ${this.bytes}`)
    const start = arena.offset(handle)
    assert.ok(start % PAGE === 0 && start + capacity <= arena.memory.size)
    model.fill = (model.fill % 255) + 1
    arena.memory.bytes.fill(model.fill, start, start + capacity)
    model.live.set(handle, model.fill)
    model.made.set(handle, capacity)
    assertUntouched(model, arena)
  }
  toString(): string {
    return `allocate(${this.bytes})`
  }
}

class Release implements fc.Command<Model, BufferArena> {
  readonly pick: number
  constructor(pick: number) {
    this.pick = pick
  }
  check(model: Readonly<Model>): boolean {
    return model.live.size > 0
  }
  run(model: Model, arena: BufferArena): void {
    const handle = [...model.live.keys()][this.pick % model.live.size] as number
    const before = arena.bytesInUse
    const capacity = arena.capacity(handle)
    arena.release(handle)
    model.live.delete(handle)
    assert.equal(arena.bytesInUse, before - capacity)
    assert.throws(() => arena.release(handle), /released twice/)
    assertUntouched(model, arena)
  }
  toString(): string {
    return `release(${this.pick})`
  }
}

/** Whether a buffer of this size lies free, or untouched memory is left for one. */
function mustFit({ live, made }: Model, arena: BufferArena, bytes: number): boolean {
  const size = SIZES.find((one) => one >= bytes) ?? Number.POSITIVE_INFINITY
  let used = PAGE
  for (const [handle, capacity] of made) {
    if (capacity === size && !live.has(handle)) return true
    used += capacity
  }
  return used + size <= arena.memory.size
}

/** Every live buffer holds what was written into it, first and last byte of each page: nothing else was put there. */
function assertUntouched(model: Model, arena: BufferArena): void {
  assert.equal(arena.buffersInUse, model.live.size)
  let bytes = 0
  for (const [handle, fill] of model.live) {
    const start = arena.offset(handle)
    const capacity = arena.capacity(handle)
    for (let at = start; at < start + capacity; at += PAGE) {
      assert.ok(arena.memory.bytes[at] === fill && arena.memory.bytes[at + PAGE - 1] === fill, `buffer ${handle}`)
    }
    bytes += capacity
  }
  assert.equal(arena.bytesInUse, bytes)
}

test('live buffers never overlap, are as large as asked, and are given back once, whatever the order', () => {
  const size = fc.oneof(
    fc.integer({ min: 1, max: LARGEST_BUFFER_BYTES + 10 }),
    fc.constantFrom(1, PAGE, PAGE + 1, 4 * PAGE, 16 * PAGE, 64 * PAGE, 256 * PAGE, 256 * PAGE + 1),
    fc.integer({ min: 1, max: 5 * PAGE }),
  )
  const commands = fc.commands(
    [
      size.map((bytes) => new Allocate(bytes)),
      size.map((bytes) => new Allocate(bytes)),
      fc.nat().map((pick) => new Release(pick)),
    ],
    { maxCommands: 60 },
  )
  const { arena } = openArena(ARENA_BYTES)
  const made = new Map<number, number>()
  fc.assert(
    fc.property(commands, (list) => {
      // One arena for all runs, as a plane has it: what earlier runs gave back is used again.
      const model: Model = { live: new Map(), made, fill: 0 }
      fc.modelRun(() => ({ model, real: arena }), list)
      for (const handle of model.live.keys()) arena.release(handle)
      assert.equal(arena.buffersInUse, 0)
      assert.equal(arena.bytesInUse, 0)
    }),
    { numRuns: 60 },
  )
})
