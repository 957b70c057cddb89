import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import koffi from 'koffi'
import { returnFreeMemory } from './free-memory.ts'

const PIECE_BYTES = 65_536
const PIECES = 512
const libc = koffi.load(null)
const malloc = libc.func('uintptr_t malloc(size_t)') as (bytes: number) => number
const free = libc.func('void free(uintptr_t)') as (at: number) => void
const memset = libc.func('uintptr_t memset(uintptr_t, int, size_t)') as (at: number, byte: number, n: number) => number

const residentBytes = (): number =>
  1024 * Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1])

test('freed memory goes back to the kernel, also from between what is in use', () => {
  const pieces = Array.from({ length: PIECES }, () => malloc(PIECE_BYTES))
  for (const piece of pieces) memset(piece, 1, PIECE_BYTES)
  const last = pieces.pop() as number
  for (const piece of pieces) free(piece)
  const before = residentBytes()
  returnFreeMemory()
  assert.ok(before - residentBytes() > (PIECES * PIECE_BYTES) / 2)
  free(last)
})
