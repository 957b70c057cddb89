import { readFileSync } from 'node:fs'
import { NativeBuffer, native } from './native.ts'

export const HUGE_PAGE_BYTES = 2 * 1024 * 1024
const PAGE_BYTES = 4096
const PAGES = HUGE_PAGE_BYTES / PAGE_BYTES
const MADV_COLLAPSE = 25
/** With less than a quarter in use, a huge page would be memory for nothing. */
const LEAST_PAGES = PAGES / 4
/** Readable memory of this process alone, behind which there is no file: addresses, permissions, offset, device, inode, name. */
const ANONYMOUS = /^([0-9a-f]+)-([0-9a-f]+) r[w-][x-]p 0+ 00:00 0 *(?:\[heap\])?$/gm

/**
 * Puts what this process has in use of its own memory (the heaps of V8 and of the C library, and the code that V8 has compiled) on huge
 * pages, at once, whatever the system's setting for them is (madvise(2), MADV_COLLAPSE, Linux 6.1). Returns how many there are
 * then: 0 where the kernel cannot. Takes up to a millisecond each, so `isOver` is asked before each one.
 */
export function collapseToHugePages(isOver: () => boolean): number {
  const residency = NativeBuffer.allocate(PAGES)
  let collapsed = 0
  for (const [, start = '', end = ''] of readFileSync('/proc/self/maps', 'latin1').matchAll(ANONYMOUS)) {
    const last = Number.parseInt(end, 16) - HUGE_PAGE_BYTES
    const first = Math.ceil(Number.parseInt(start, 16) / HUGE_PAGE_BYTES) * HUGE_PAGE_BYTES
    for (let at = first; at <= last; at += HUGE_PAGE_BYTES) {
      if (residentPages(at, residency) < LEAST_PAGES) continue
      if (isOver()) return collapsed
      if (native.madvise(at, HUGE_PAGE_BYTES, MADV_COLLAPSE) === 0) collapsed++
    }
  }
  return collapsed
}

/** How many pages of the huge one at `address` are in memory. */
export function residentPages(address: number, residency: NativeBuffer): number {
  if (native.mincore(address, HUGE_PAGE_BYTES, residency.address) < 0) return 0
  let count = 0
  for (const page of residency.bytes.subarray(0, PAGES)) count += page & 1
  return count
}
