import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BufferArena, LARGEST_BUFFER_BYTES } from './buffer-arena.ts'
import { openArena } from './link-host.fixture.ts'

const PAGE = 4096

/** Everything there is of one size. */
function exhaust(arena: BufferArena, bytes: number): number[] {
  const handles: number[] = []
  for (let handle = arena.allocate(bytes); handle !== 0; handle = arena.allocate(bytes)) handles.push(handle)
  return handles
}

test('a buffer is of the smallest size that holds what is asked', () => {
  const { arena } = openArena(32 * 1024 * 1024)
  const kib = [
    0,
    1,
    PAGE,
    PAGE + 1,
    16_384,
    16_385,
    65_536,
    65_537,
    262_144,
    262_145,
    1_048_577,
    LARGEST_BUFFER_BYTES,
  ].map((bytes) => arena.capacity(arena.allocate(bytes)) / 1024)
  assert.deepEqual(kib, [4, 4, 4, 16, 16, 64, 64, 256, 256, 1024, 4096, 4096])
})

test('more than the largest buffer is not to be had, and that costs nothing', () => {
  const { arena } = openArena(32 * 1024 * 1024)
  assert.equal(arena.allocate(LARGEST_BUFFER_BYTES + 1), 0)
  assert.equal(arena.buffersInUse, 0)
})

test('an arena that is used up gives nothing, and gives again what came back', () => {
  const { arena } = openArena(40 * PAGE)
  const handles = exhaust(arena, PAGE)
  // One page is the table.
  assert.equal(handles.length, 39)
  assert.equal(new Set(handles).size, 39)
  assert.equal(arena.allocate(1), 0)
  arena.release(handles[17] as number)
  assert.equal(arena.allocate(PAGE), handles[17])
  assert.equal(arena.allocate(1), 0)
})

test('what is used up for large buffers is still there for small ones', () => {
  const { arena } = openArena(30 * PAGE)
  assert.equal(exhaust(arena, 16 * PAGE).length, 1)
  assert.equal(exhaust(arena, PAGE).length, 13)
})

test('the handle 0 is never a buffer, so releasing it is a mistake', () => {
  const { arena } = openArena(16 * PAGE)
  assert.ok(arena.allocate(1) !== 0)
  assert.throws(() => arena.release(0), /released twice/)
  assert.equal(arena.buffersInUse, 1)
})

for (const size of [PAGE, LARGEST_BUFFER_BYTES]) {
  test(`some free buffers of ${size} bytes stay warm, the pages of all others go back to the kernel and read as zeros`, (t) => {
    const { arena, discarded } = openArena(20 * 1024 * 1024)
    const handles = exhaust(arena, size)
    for (const handle of handles) arena.memory.bytes[arena.offset(handle) + size - 1] = 1
    for (const handle of handles) arena.release(handle)
    const warm = handles.length - discarded.length
    t.diagnostic(`${warm} of ${handles.length} stay warm`)
    assert.ok(warm > 0 && warm * size <= 8 * 1024 * 1024)
    assert.deepEqual(
      discarded,
      handles.slice(warm).map((handle) => [arena.offset(handle), size]),
    )
    const again = exhaust(arena, size)
    assert.equal(again.length, handles.length)
    const zeroed = again.filter((handle) => arena.memory.bytes[arena.offset(handle) + size - 1] === 0)
    assert.equal(zeroed.length, discarded.length)
  })
}

/** A second arena over the memory of a first one, as a plane's successor has it. */
function successorOf(arena: BufferArena): { successor: BufferArena; discarded: [number, number][] } {
  const discarded: [number, number][] = []
  const successor = new BufferArena(arena.memory, (offset, bytes) => {
    discarded.push([offset, bytes])
    arena.memory.bytes.fill(0, offset, offset + bytes)
  })
  return { successor, discarded }
}

test('a successor keeps the buffers that are referred to, byte for byte, and can give all the rest', () => {
  const { arena } = openArena(60 * PAGE)
  const [, small, , large] = [PAGE, PAGE, 4 * PAGE, 16 * PAGE, PAGE].map((bytes) => arena.allocate(bytes))
  assert.ok(small !== undefined && large !== undefined)
  arena.memory.bytes.fill(7, arena.offset(small), arena.offset(small) + PAGE)
  arena.memory.bytes.fill(8, arena.offset(large), arena.offset(large) + 16 * PAGE)
  const { successor } = successorOf(arena)
  successor.rebuild([large, small])
  assert.deepEqual([successor.buffersInUse, successor.bytesInUse], [2, 17 * PAGE])
  assert.deepEqual([successor.capacity(small), successor.capacity(large)], [PAGE, 16 * PAGE])
  // 60 pages, one is the table.
  const rest = [...exhaust(successor, 4 * PAGE), ...exhaust(successor, PAGE)]
  assert.equal(successor.bytesInUse, 59 * PAGE)
  for (const handle of rest) successor.memory.bytes.fill(1, successor.offset(handle), successor.offset(handle) + PAGE)
  assert.ok(
    successor.memory.bytes
      .subarray(successor.offset(small))
      .subarray(0, PAGE)
      .every((byte) => byte === 7),
  )
  assert.ok(
    successor.memory.bytes
      .subarray(successor.offset(large))
      .subarray(0, 16 * PAGE)
      .every((byte) => byte === 8),
  )
  successor.release(small)
  successor.release(large)
})

test('a successor with nothing to keep begins with an empty arena, whose pages are the kernel’s again', () => {
  const { arena } = openArena(60 * PAGE)
  const handles = exhaust(arena, PAGE)
  const { successor, discarded } = successorOf(arena)
  successor.rebuild([])
  assert.deepEqual(discarded, [[PAGE, 59 * PAGE]])
  assert.equal(successor.capacity(handles[3] as number), 0)
  assert.deepEqual([successor.buffersInUse, successor.bytesInUse], [0, 0])
  assert.equal(exhaust(successor, PAGE).length, 59)
})

test('what was free before is not free twice afterwards', () => {
  const { arena } = openArena(60 * PAGE)
  const [first, second] = [arena.allocate(PAGE), arena.allocate(PAGE)]
  arena.release(first)
  arena.rebuild([second])
  const all = [second, ...exhaust(arena, PAGE)]
  assert.equal(new Set(all).size, 59)
  assert.equal(all.length, 59)
})

test('a handle that is none, or within another buffer, is an error and not a corruption', () => {
  const { arena } = openArena(60 * PAGE)
  const large = arena.allocate(16 * PAGE)
  assert.throws(() => arena.rebuild([50]), /buffer 50 is not in the table/)
  assert.throws(() => arena.rebuild([large, large]), /within another one/)
})
