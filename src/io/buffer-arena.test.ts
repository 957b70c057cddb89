import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type BufferArena, LARGEST_BUFFER_BYTES } from './buffer-arena.ts'
import { openArena } from './link-host.fixture.ts'

const PAGE = 4096

/** Everything there is of one size. */
function exhaust(arena: BufferArena, bytes: number): number[] {
  const handles: number[] = []
  for (let handle = arena.allocate(bytes); handle !== 0; handle = arena.allocate(bytes)) handles.push(handle)
  return handles
}

test('a buffer is of the smallest size that holds what is asked', () => {
  const { arena } = openArena(4 * 1024 * 1024)
  const kib = [0, 1, PAGE, PAGE + 1, 16_384, 16_385, 65_536, 65_537, 262_144, 262_145, LARGEST_BUFFER_BYTES].map(
    (bytes) => arena.capacity(arena.allocate(bytes)) / 1024,
  )
  assert.deepEqual(kib, [4, 4, 4, 16, 16, 64, 64, 256, 256, 1024, 1024])
})

test('more than the largest buffer is not to be had, and that costs nothing', () => {
  const { arena } = openArena(4 * 1024 * 1024)
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
