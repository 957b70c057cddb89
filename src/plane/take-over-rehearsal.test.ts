import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { arch, tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import type { PlaneValues } from '../shard/plane-values.ts'
import { openRing } from './plane-resources.ts'
import { TakeOverRehearsal, type TakeOverRehearsalResult } from './take-over-rehearsal.ts'

const socketPath = join(tmpdir(), `rehearsal-${process.pid}.sock`)

function rehearse(
  clock: () => number,
  isOver: () => boolean,
  example: PlaneValues | null = null,
): TakeOverRehearsalResult {
  const { queue } = openRing(true)
  return TakeOverRehearsal.run({ architecture: arch(), queue, clock, socketPath, example, isOver })
}

test('planes follow one another, and every client gets every answer', () => {
  // However long it takes.
  assert.deepEqual(
    rehearse(
      () => 1000,
      () => false,
    ),
    { planes: 8, failure: null },
  )
  assert.ok(!existsSync(socketPath))
})

test('it ends as soon as the real thing begins, and after its time', () => {
  let left = 20
  assert.deepEqual(
    rehearse(
      () => 1000,
      () => left-- === 0,
    ),
    { planes: 0, failure: null },
  )
  let now = 0
  const { planes, failure } = rehearse(
    () => (now += 20),
    () => false,
  )
  assert.ok(planes < 8)
  assert.equal(failure, null)
  assert.ok(!existsSync(socketPath))
})
