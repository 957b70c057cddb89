import assert from 'node:assert/strict'
import { fstatSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { native } from './native.ts'
import { createMemoryFile, SharedMapping } from './shared-memory.ts'

const PAGE = 4096

test('two mappings of one memory file are the same memory, also after its descriptor is closed', () => {
  const file = createMemoryFile('test', 4 * PAGE)
  const one = new SharedMapping(file, 4 * PAGE)
  const other = new SharedMapping(file, 4 * PAGE)
  file.close()
  Buffer.from(one.memory).write('shared', PAGE)
  assert.equal(Buffer.from(other.memory).toString('latin1', PAGE, PAGE + 6), 'shared')
})

test('a window is at its place in the mapping, for us and for the kernel', () => {
  const file = createMemoryFile('test', 4 * PAGE)
  const mapping = new SharedMapping(file, 4 * PAGE)
  const window = mapping.window(PAGE + 8, 16)
  assert.equal(window.size, 16)
  window.bytes.write('by us')
  assert.equal(Buffer.from(mapping.memory).toString('latin1', PAGE + 8, PAGE + 13), 'by us')
  const [reading, writing] = [createMemoryFile('text', PAGE), createMemoryFile('text', PAGE)]
  assert.equal(native.write(writing.fd, window.address, 5), 5)
  assert.equal(fstatSync(writing.fd).size, PAGE)
  assert.equal(native.read(reading.fd, window.address, 5), 5)
  assert.equal(window.bytes.toString('latin1', 0, 5), '\0\0\0\0\0')
  for (const one of [file, reading, writing]) one.close()
})

test('discarded pages read as zeros in every mapping, and their neighbours stay', () => {
  const file = createMemoryFile('test', 4 * PAGE)
  const one = new SharedMapping(file, 4 * PAGE)
  const other = new SharedMapping(file, 4 * PAGE)
  Buffer.from(one.memory).fill('x')
  one.discard(PAGE, 2 * PAGE)
  const bytes = Buffer.from(other.memory)
  assert.ok(bytes.subarray(PAGE, 3 * PAGE).every((byte) => byte === 0))
  assert.ok([bytes.subarray(0, PAGE), bytes.subarray(3 * PAGE)].every((page) => page.every((byte) => byte === 0x78)))
  file.close()
})

/** `VmFlags` of the mappings of this file, in the order of their addresses. */
function flagsOf(name: string): readonly (readonly string[])[] {
  const mappings = readFileSync('/proc/self/smaps', 'latin1').split(/^(?=[0-9a-f]+-[0-9a-f]+ )/m)
  return mappings
    .filter((mapping) => mapping.includes(`/memfd:${name} `))
    .map((mapping) => /^VmFlags: (.*)$/m.exec(mapping)?.[1]?.trim().split(' ') ?? [])
}

test('pages with keys are left out of core dumps, and locked, and others are not', () => {
  const file = createMemoryFile('keys', 4 * PAGE)
  const mapping = new SharedMapping(file, 4 * PAGE)
  mapping.hideFromDumps(PAGE, 2 * PAGE)
  assert.deepEqual(
    flagsOf('keys').map((flags) => flags.includes('dd')),
    [false, true, false],
  )
  const isLocked = mapping.lock(PAGE, 2 * PAGE)
  assert.deepEqual(
    flagsOf('keys').map((flags) => flags.includes('lo')),
    [false, isLocked, false],
  )
  file.close()
})

test('a memory file has its size, and is not inherited by other programs', () => {
  const F_GETFD = 1
  const file = createMemoryFile('test', 1024 * 1024 * 1024)
  assert.equal(native.fcntl(file.fd, F_GETFD, 0), 1)
  assert.equal(fstatSync(file.fd).size, 1024 * 1024 * 1024)
  file.close()
})

test('what the kernel refuses is an error with the name of the call', () => {
  assert.throws(() => createMemoryFile('test', -1), /ftruncate: EINVAL/)
  const file = createMemoryFile('test', PAGE)
  assert.throws(() => new SharedMapping(file, 0), /mmap: EINVAL/)
  assert.throws(() => new SharedMapping(file, PAGE).discard(1, PAGE), /madvise: EINVAL/)
  file.close()
})
