import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { collapseToHugePages, HUGE_PAGE_BYTES, residentPages } from './huge-pages.ts'
import { NativeBuffer, native, viewMemory } from './native.ts'

const PROT_READ_WRITE = 3
const MAP_PRIVATE_ANONYMOUS = 0x22
const CHUNKS = 8
const PAGE_BYTES = 4096

/** Kilobytes on huge pages in the mapping around `address`. */
function hugeKilobytes(address: number): number {
  let isHere = false
  for (const line of readFileSync('/proc/self/smaps', 'latin1').split('\n')) {
    const range = /^([0-9a-f]+)-([0-9a-f]+) /.exec(line)
    if (range) isHere = Number.parseInt(range[1] ?? '', 16) <= address && address < Number.parseInt(range[2] ?? '', 16)
    const huge = /^AnonHugePages: +(\d+) kB/.exec(line)
    if (isHere && huge) return Number(huge[1])
  }
  return 0
}

const kernel = /^(\d+)\.(\d+)/.exec(readFileSync('/proc/sys/kernel/osrelease', 'latin1')) ?? []
const canCollapse = Number(kernel[1]) * 100 + Number(kernel[2]) >= 601

/** Memory whose first half is in use, and of the other half one page of each huge one. */
function mapMemory(): { full: number; sparse: number; free(): void } {
  const bytes = CHUNKS * HUGE_PAGE_BYTES
  const mapped = native.mmap(0, bytes + HUGE_PAGE_BYTES, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, -1, 0)
  const full = Math.ceil(mapped / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
  const memory = new Uint8Array(viewMemory(full, bytes))
  memory.fill(1, 0, bytes / 2)
  for (let at = bytes / 2; at < bytes; at += HUGE_PAGE_BYTES) memory[at + PAGE_BYTES] = 1
  return { full, sparse: full + bytes / 2, free: () => native.munmap(mapped, bytes + HUGE_PAGE_BYTES) }
}

test('memory that is in use moves to huge pages, and nearly free memory stays free', { skip: !canCollapse }, () => {
  const memory = mapMemory()
  const before = hugeKilobytes(memory.full)
  const collapsed = collapseToHugePages(() => false)
  assert.ok(collapsed >= CHUNKS / 2)
  assert.ok((hugeKilobytes(memory.full) - before) * 1024 >= (CHUNKS / 2) * HUGE_PAGE_BYTES)
  assert.equal(residentPages(memory.sparse, NativeBuffer.allocate(PAGE_BYTES)), 1)
  memory.free()
})

test('who has something else to do stops at once', () => {
  const memory = mapMemory()
  let asked = 0
  assert.ok(collapseToHugePages(() => ++asked > 1) <= 1)
  assert.ok(asked <= 2)
  memory.free()
})
