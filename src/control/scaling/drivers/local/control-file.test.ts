import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readShutdownCheckpoint } from './control-file.ts'

function file(version: number, state: number, checkpoint: bigint): Buffer {
  const bytes = Buffer.alloc(296)
  bytes.writeUInt32LE(version, 8)
  bytes.writeUInt32LE(state, 16)
  bytes.writeBigUInt64LE(checkpoint, 32)
  return bytes
}

test('a server that was shut down in good order says where its log ends', () => {
  assert.equal(readShutdownCheckpoint(file(1800, 1, 0x16b374d848n)), 0x16b374d848n)
  assert.equal(readShutdownCheckpoint(file(1300, 2, 7n)), 7n)
})

test('one that runs, that crashed, or of which nothing is known says nothing', () => {
  for (const state of [0, 3, 4, 5, 6]) assert.equal(readShutdownCheckpoint(file(1800, state, 7n)), null)
  assert.equal(readShutdownCheckpoint(file(2000, 1, 7n)), null)
  assert.equal(readShutdownCheckpoint(Buffer.alloc(39)), null)
})
